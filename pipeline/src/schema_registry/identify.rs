//! Whether a schema text is one of AudioChunk, in whatever version and layout.

/// Whether `text` is a `.proto` file of package `treble.v1` whose first message is `AudioChunk`.
///
/// Compatibility is the business of the registry and of our own history; this only tells our schema from
/// anybody else's, so that a foreign record with the same framing is refused instead of misread. Registries
/// re-format texts, so comments and white space do not count.
#[must_use]
pub fn is_audio_chunk(text: &str) -> bool {
    let code = without_comments(text);
    let words: Vec<&str> = code
        .split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.')))
        .filter(|word| !word.is_empty())
        .collect();
    let after =
        |keyword: &str| words.iter().position(|word| *word == keyword).and_then(|at| words.get(at + 1));
    after("package") == Some(&"treble.v1") && after("message") == Some(&"AudioChunk")
}

fn without_comments(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("//").into_iter().chain(rest.find("/*")).min() {
        code.push_str(&rest[..at]);
        let end = if rest[at..].starts_with("//") { "\n" } else { "*/" };
        rest = rest[at + 2..].split_once(end).map_or("", |(_, after)| after);
        code.push(' ');
    }
    code.push_str(rest);
    code
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use treble_schemas::Contract;

    #[test]
    fn our_chunk_is_known_in_any_layout() {
        let text = Contract::AudioChunk.text();
        assert!(is_audio_chunk(text));
        assert!(is_audio_chunk(&without_comments(text).split_whitespace().collect::<Vec<_>>().join(" ")));
        assert!(is_audio_chunk("/* message X */ syntax=\"proto3\";package treble.v1;message AudioChunk{}"));
    }

    #[test]
    fn others_are_not_taken_for_ours() {
        for text in [
            Contract::StreamState.text(),
            Contract::StageEvent.text(),
            "package acme; message AudioChunk {}",
            "package treble.v1; message Other {} message AudioChunk {}",
            "// package treble.v1; message AudioChunk {}",
            "package treble.v1; /* message AudioChunk {}",
            "",
        ] {
            assert!(!is_audio_chunk(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged(text in "[/*\\n a-zä.{}]{0,60}") {
            let _ours = is_audio_chunk(&text);
        }
    }
}
