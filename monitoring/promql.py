"""What an expression of PromQL asks for: its selectors, with their matchers, ranges, and the functions around them.

No parser: promtool is that. This reads a valid expression word for word, which is enough to say which metrics it names.
"""

import re
from dataclasses import dataclass, field

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|\$?[A-Za-z_:][\w:]*|\d[\w.]*|=~|!~|!=|==|>=|<=|[^\s\w]')
# Words that stand before a list of labels, and those that are no metric either.
LISTS = {"by", "without", "on", "ignoring", "group_left", "group_right"}
WORDS = LISTS | {"and", "or", "unless", "bool", "offset", "start", "end", "inf", "nan", "atan2"}


@dataclass
class Selector:
    """One selector: `metric{matchers}[range]`, and the innermost function whose argument it is."""

    metric: str
    matchers: dict[str, tuple[str, str]] = field(default_factory=dict)
    range: str | None = None
    function: str | None = None

    def __str__(self):
        inside = ",".join(f"{label}{how}{value}" for label, (how, value) in self.matchers.items())
        return self.metric + (f"{{{inside}}}" if inside else "")


def is_metric(token, following):
    """Whether a word names a metric: no keyword, no function, no aggregation, which may name its labels first (`sum by (a) (x)`)."""
    return bool(re.fullmatch(r"[A-Za-z_:][\w:]*", token)) and token.lower() not in WORDS and following not in ("(", "by", "without")


def matchers_at(tokens, place):
    """The matchers between the braces at `place`, and the place behind them."""
    found, place = {}, place + 1
    while tokens[place] != "}":
        if tokens[place] == ",":
            place += 1
            continue
        label, how, value = tokens[place : place + 3]
        found[label] = (how, value)
        place += 3
    return found, place + 1


def selectors(expression):
    """All selectors of `expression`, in their order."""
    tokens, found, open_calls, place = TOKEN.findall(expression), [], [], 0
    while place < len(tokens):
        token = tokens[place]
        following = tokens[place + 1] if place + 1 < len(tokens) else ""
        if token.lower() in LISTS and following == "(":
            place = tokens.index(")", place) + 1
            continue
        if token == "(":
            open_calls.append(tokens[place - 1] if place and re.fullmatch(r"[a-z_]\w*", tokens[place - 1]) and tokens[place - 1] not in WORDS else None)
        elif token == ")":
            open_calls.pop()
        elif token == "{" or is_metric(token, following):
            selector = Selector("" if token == "{" else token, function=next((call for call in reversed(open_calls) if call), None))
            place += token != "{"
            if place < len(tokens) and tokens[place] == "{":
                selector.matchers, place = matchers_at(tokens, place)
            if place < len(tokens) and tokens[place] == "[":
                behind = tokens.index("]", place)
                selector.range = "".join(tokens[place + 1 : behind])
                place = behind + 1
            found.append(selector)
            continue
        place += 1
    return found

