//! A picture, and what can be measured on it.

use std::fs::File;
use std::io::BufReader;
use std::ops::Range;
use std::path::Path;

/// Red, green and blue.
pub(crate) type Colour = [u8; 3];

/// A picture, row by row from its upper left corner.
pub(crate) struct Picture {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pixels: Vec<Colour>,
}

impl Picture {
    /// Reads a PNG file of 8 bits a channel.
    pub(crate) fn read(path: &Path) -> Self {
        let mut decoder = png::Decoder::new(BufReader::new(File::open(path).unwrap()));
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info().unwrap();
        let mut octets = vec![0; reader.output_buffer_size().unwrap()];
        let frame = reader.next_frame(&mut octets).unwrap();
        let samples = frame.color_type.samples();
        assert!(samples >= 3 && frame.bit_depth == png::BitDepth::Eight, "{:?}", frame.color_type);
        let pixels: Vec<Colour> =
            octets[..frame.buffer_size()].chunks_exact(samples).map(|p| [p[0], p[1], p[2]]).collect();
        assert_eq!(pixels.len(), (frame.width * frame.height) as usize);
        Self { width: frame.width, height: frame.height, pixels }
    }

    /// Its upper part, of so many rows if it has them.
    pub(crate) fn up_to(mut self, height: u32) -> Self {
        self.height = self.height.min(height);
        self.pixels.truncate((self.width * self.height) as usize);
        self
    }

    /// How many pixels of a part of it have this colour, give or take `tolerance` in each channel.
    pub(crate) fn count(&self, x: Range<u32>, y: Range<u32>, colour: Colour, tolerance: u8) -> usize {
        let alike = |p: &&Colour| (0..3).all(|i| p[i].abs_diff(colour[i]) <= tolerance);
        let row = |y: u32| {
            let start = (y * self.width) as usize;
            &self.pixels[start + x.start as usize..start + x.end as usize]
        };
        y.map(|y| row(y).iter().filter(alike).count()).sum()
    }

    /// The rows that have this colour all the way through `x`.
    pub(crate) fn rules(&self, x: Range<u32>, colour: Colour, tolerance: u8) -> Vec<u32> {
        let whole = |&y: &u32| self.count(x.clone(), y..y + 1, colour, tolerance) == x.len();
        (0..self.height).filter(whole).collect()
    }
}
