//! A picture: pixels, lines, small text.

use super::colour::Colour;
use super::font;
use crate::cli::Failure;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

const PAPER: Colour = [255, 255, 255];
const INK: Colour = [40, 40, 40];
/// Pixels for each dot of the font.
const DOT: usize = 2;

/// A picture.
#[derive(Debug)]
pub(super) struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

/// How wide `text` is, in pixels.
pub(super) fn text_width(text: &str) -> usize {
    text.chars().count() * (font::WIDTH + 1) * DOT
}

impl Canvas {
    pub(super) fn new(width: usize, height: usize) -> Self {
        Self { width, height, pixels: PAPER.repeat(width * height) }
    }

    #[cfg(test)]
    pub(super) fn get(&self, x: usize, y: usize) -> Colour {
        let at = 3 * (y * self.width + x);
        [self.pixels[at], self.pixels[at + 1], self.pixels[at + 2]]
    }

    /// Colours one pixel; outside the picture nothing happens.
    pub(super) fn set(&mut self, x: usize, y: usize, colour: Colour) {
        if x < self.width && y < self.height {
            let at = 3 * (y * self.width + x);
            self.pixels[at..at + 3].copy_from_slice(&colour);
        }
    }

    pub(super) fn horizontal(&mut self, x: usize, y: usize, length: usize) {
        (x..x + length).for_each(|x| self.set(x, y, INK));
    }

    pub(super) fn vertical(&mut self, x: usize, y: usize, length: usize) {
        (y..y + length).for_each(|y| self.set(x, y, INK));
    }

    /// Writes `text` with its upper left corner at (`x`, `y`).
    pub(super) fn text(&mut self, x: usize, y: usize, text: &str) {
        for (index, character) in text.chars().enumerate() {
            let left = x + index * (font::WIDTH + 1) * DOT;
            for (column, row) in font::dots(character) {
                for pixel in 0..DOT * DOT {
                    self.set(left + column * DOT + pixel % DOT, y + row * DOT + pixel / DOT, INK);
                }
            }
        }
    }

    /// Writes the picture as PNG.
    pub(super) fn save(&self, path: &Path) -> Result<(), Failure> {
        let file = File::create(path).map_err(|error| Failure::uncreatable(path, &error))?;
        let size = |pixels: usize| u32::try_from(pixels).expect("pictures are a few thousand pixels wide");
        let mut encoder = png::Encoder::new(BufWriter::new(file), size(self.width), size(self.height));
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let written = encoder.write_header().and_then(|mut writer| {
            writer.write_image_data(&self.pixels)?;
            writer.finish()
        });
        written.map_err(|error| Failure::uncreatable(path, &std::io::Error::other(error)))
    }
}
