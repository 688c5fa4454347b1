//! Rust source, read just well enough: what is code, what is a literal, what is a test, where a function ends.

/// Source text taken apart.
#[derive(Debug)]
pub(crate) struct Source {
    /// The text with comments and the contents of literals blanked, and test modules too; lines are kept.
    pub(crate) code: String,
    /// The string literals outside test modules, with their lines, from 1.
    pub(crate) literals: Vec<(usize, String)>,
    /// Lines that are not in test modules.
    pub(crate) lines: usize,
    /// Functions outside test modules.
    pub(crate) functions: Vec<Function>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// From 1.
    pub(crate) line: usize,
    pub(crate) lines: usize,
}

impl Source {
    pub(crate) fn read(text: &str) -> Self {
        let chars: Vec<char> = text.chars().collect();
        let lines = Lines::of(&chars);
        let (mut code, mut literals) = blank_comments_and_literals(&chars, &lines);
        let (mut test_lines, mut from) = (0, 0);
        while let Some((start, end)) = test_item(&code, from) {
            from = end;
            let first = lines.at(start);
            let last = lines.at(end);
            test_lines += last - first + 1;
            literals.retain(|(line, _)| !(first..=last).contains(line));
            for char in &mut code[start..=end] {
                if *char != '\n' {
                    *char = ' ';
                }
            }
        }
        let functions = functions(&code, &lines);
        Self {
            lines: text.lines().count() - test_lines,
            code: code.into_iter().collect(),
            literals,
            functions,
        }
    }

    /// Lines on which `word` stands as a word of its own, and not as the tail of a path.
    pub(crate) fn mentions(&self, word: &str) -> Vec<usize> {
        self.lines_with(word, |_, _| true)
    }

    /// Lines that name the crate or module `path`: in a `use`, or before `::`.
    pub(crate) fn names(&self, path: &str) -> Vec<usize> {
        let used =
            |before: &str| before.trim_end().rsplit(' ').next().is_some_and(|word| word.ends_with("use"));
        self.lines_with(path, |before, after| after.starts_with("::") || used(before))
    }

    fn lines_with(&self, word: &str, accept: impl Fn(&str, &str) -> bool) -> Vec<usize> {
        let is_word = |char: Option<char>| char.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let hit = |line: &str| {
            line.match_indices(word).any(|(at, _)| {
                let (before, after) = (&line[..at], &line[at + word.len()..]);
                let whole = !is_word(before.chars().last()) && !is_word(after.chars().next());
                whole && !before.ends_with("::") && accept(before, after)
            })
        };
        self.code.lines().enumerate().filter(|(_, line)| hit(line)).map(|(at, _)| at + 1).collect()
    }
}

/// Where lines end. Blanking keeps them, so one reading serves all steps.
struct Lines(Vec<usize>);

impl Lines {
    fn of(code: &[char]) -> Self {
        Self(code.iter().enumerate().filter(|(_, char)| **char == '\n').map(|(at, _)| at).collect())
    }

    /// The line on which the character at `at` stands, from 1.
    fn at(&self, at: usize) -> usize {
        self.0.partition_point(|&end| end < at) + 1
    }
}

/// The text without comments and contents of literals, and the string literals.
fn blank_comments_and_literals(chars: &[char], lines: &Lines) -> (Vec<char>, Vec<(usize, String)>) {
    let mut code = chars.to_vec();
    let mut literals = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let (end, literal) = token(chars, at);
        if let Some((from, to)) = literal {
            literals.push((lines.at(at), chars[from..to].iter().collect()));
        }
        if end > at + 1 {
            for char in &mut code[at..end.min(chars.len())] {
                if *char != '\n' {
                    *char = ' ';
                }
            }
        }
        at = end;
    }
    (code, literals)
}

type Span = (usize, usize);

/// Where the token at `at` ends, if it is a comment or a literal, else the next character; for strings also
/// where their contents lie.
fn token(chars: &[char], at: usize) -> (usize, Option<Span>) {
    let is = |offset: usize, char: char| chars.get(at + offset) == Some(&char);
    let starts_word = at == 0 || !(chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    match chars[at] {
        '/' if is(1, '/') => (find(chars, at, |rest| rest[0] == '\n').unwrap_or(chars.len()), None),
        '/' if is(1, '*') => (block_comment_end(chars, at), None),
        '"' => string_end(chars, at + 1),
        '\'' if is(1, '\\') => {
            (find(chars, at + 3, |rest| rest[0] == '\'').map_or(chars.len(), |end| end + 1), None)
        }
        '\'' if is(2, '\'') => (at + 3, None),
        'r' | 'b' | 'c' if starts_word => prefixed_string_end(chars, at),
        _ => (at + 1, None),
    }
}

fn find(chars: &[char], from: usize, wanted: impl Fn(&[char]) -> bool) -> Option<usize> {
    (from..chars.len()).find(|&at| wanted(&chars[at..]))
}

fn block_comment_end(chars: &[char], start: usize) -> usize {
    let (mut depth, mut at) = (0, start);
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn string_end(chars: &[char], start: usize) -> (usize, Option<Span>) {
    let mut at = start;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    let end = at.min(chars.len());
    (end + 1, Some((start, end)))
}

/// The end of `r"…"`, `r#"…"#`, `b"…"`, `br"…"`, `b'…'`; the next character where it is a plain word.
fn prefixed_string_end(chars: &[char], start: usize) -> (usize, Option<Span>) {
    let letters = chars[start..].iter().take_while(|char| matches!(char, 'r' | 'b' | 'c')).count().min(2);
    let raw = chars[start..start + letters].contains(&'r');
    let hashes = chars[start + letters..].iter().take_while(|&&char| raw && char == '#').count();
    let open = start + letters + hashes;
    if chars.get(open) != Some(&'"') {
        return (start + 1, None);
    }
    if !raw {
        return string_end(chars, open + 1);
    }
    let closes = |rest: &[char]| {
        rest[0] == '"' && rest[1..].iter().take(hashes).filter(|&&c| c == '#').count() == hashes
    };
    let end = find(chars, open + 1, closes).unwrap_or(chars.len() - 1);
    (end + 1 + hashes, Some((open + 1, end)))
}

/// The span of the first item from `from` on that is marked `#[cfg(test)]`.
fn test_item(code: &[char], from: usize) -> Option<Span> {
    const MARK: [char; 12] = ['#', '[', 'c', 'f', 'g', '(', 't', 'e', 's', 't', ')', ']'];
    let start = find(code, from, |rest| rest.starts_with(&MARK))?;
    Some((start, item_end(code, start + MARK.len())))
}

/// Where the item that begins at `from` ends: at its `;`, or at the brace that closes its first.
fn item_end(code: &[char], from: usize) -> usize {
    let mut depth = 0_usize;
    for (at, char) in code.iter().enumerate().skip(from) {
        match char {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && *char == '}' {
                    return at;
                }
            }
            ';' if depth == 0 => return at,
            _ => {}
        }
    }
    code.len() - 1
}

fn functions(code: &[char], lines: &Lines) -> Vec<Function> {
    let mut found = Vec::new();
    for at in 0..code.len().saturating_sub(3) {
        let starts_word = at == 0 || !(code[at - 1].is_alphanumeric() || code[at - 1] == '_');
        if !starts_word || code[at..at + 3] != ['f', 'n', ' '] {
            continue;
        }
        let name: String = code[at + 3..].iter().take_while(|c| c.is_alphanumeric() || **c == '_').collect();
        let end = item_end(code, at);
        if !name.is_empty() && code[end] == '}' {
            let line = lines.at(at);
            found.push(Function { name, line, lines: lines.at(end) - line + 1 });
        }
    }
    found
}

#[test]
fn comments_literals_and_tests_are_no_code() {
    let text = r##"
// rdkafka::a "no"
/* rdkafka /* nested */ still */
fn real<'a>(x: &'a str) -> [u8; 2] {
    let c = '"'; let d = '\''; let e = b'x';
    call("rdkafka::b \" inside", r#"raw " rdkafka::c"#, b"bytes");
    rdkafka::d(x)
}
#[cfg(test)]
mod tests {
    fn t() { rdkafka::e("hidden") }
}
fn declared();
fn after() {}
"##;
    let source = Source::read(text);
    assert_eq!(source.mentions("rdkafka"), [7]);
    let literals: Vec<&str> = source.literals.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(literals, ["rdkafka::b \\\" inside", "raw \" rdkafka::c", "bytes"]);
    assert_eq!(source.literals[1].0, 6);
    let functions: Vec<_> = source.functions.iter().map(|f| (f.name.as_str(), f.line, f.lines)).collect();
    assert_eq!(functions, [("real", 4, 5), ("after", 14, 1)]);
    assert_eq!(source.lines, 14 - 4);
}

#[test]
fn a_mention_is_a_path_of_its_own() {
    let source =
        Source::read("use crate::opus::X;\nmy_opus::f();\nuse opus::Y;\nlet opus = 1;\nopusinfo();\n");
    assert_eq!(source.mentions("opus"), [3, 4]);
    assert_eq!(source.names("opus"), [3]);
    assert_eq!(source.names("opus::Y"), [3]);
}
