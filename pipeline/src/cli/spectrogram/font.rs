//! The few characters that axes and titles need, as dots.

/// Dots of a character.
pub(super) const WIDTH: usize = 3;

/// Character and rows, from the top; `#` is a dot.
const GLYPHS: [(char, [&str; 5]); 22] = [
    ('0', ["###", "# #", "# #", "# #", "###"]),
    ('1', [" # ", "## ", " # ", " # ", "###"]),
    ('2', ["###", "  #", "###", "#  ", "###"]),
    ('3', ["###", "  #", " ##", "  #", "###"]),
    ('4', ["# #", "# #", "###", "  #", "  #"]),
    ('5', ["###", "#  ", "###", "  #", "###"]),
    ('6', ["###", "#  ", "###", "# #", "###"]),
    ('7', ["###", "  #", " # ", " # ", " # "]),
    ('8', ["###", "# #", "###", "# #", "###"]),
    ('9', ["###", "# #", "###", "  #", "###"]),
    ('.', ["   ", "   ", "   ", "   ", " # "]),
    ('k', ["#  ", "# #", "## ", "## ", "# #"]),
    ('H', ["# #", "# #", "###", "# #", "# #"]),
    ('z', ["   ", "###", " ##", "## ", "###"]),
    ('s', ["   ", "###", "## ", " ##", "###"]),
    ('A', [" # ", "# #", "###", "# #", "# #"]),
    ('B', ["## ", "# #", "## ", "# #", "## "]),
    ('E', ["###", "#  ", "## ", "#  ", "###"]),
    ('F', ["###", "#  ", "## ", "#  ", "#  "]),
    ('O', [" # ", "# #", "# #", "# #", " # "]),
    ('R', ["## ", "# #", "## ", "# #", "# #"]),
    ('T', ["###", " # ", " # ", " # ", " # "]),
];

/// The dots of `character` as (column, row); none for one that the font lacks.
pub(super) fn dots(character: char) -> impl Iterator<Item = (usize, usize)> {
    let rows = GLYPHS.iter().find(|(known, _)| *known == character).map(|(_, rows)| rows);
    let rows = rows.into_iter().flatten().enumerate();
    rows.flat_map(|(row, dots)| {
        dots.bytes().enumerate().filter(|(_, dot)| *dot == b'#').map(move |(column, _)| (column, row))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_of_the_labels_is_drawn() {
        for character in "0123456789.kHzsBEFORAT".chars() {
            assert!(dots(character).count() > 0, "{character}");
        }
        assert!(dots(' ').next().is_none());
    }
}
