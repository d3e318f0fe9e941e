//! PNG from the same marks: plotters' bitmap backend with better text and smooth edges.
//!
//! Plotters smooths neither polygons nor circles, so everything is drawn several times too large and averaged down.

use anyhow::{Context as _, Result};
use plotters_backend::{BackendColor, BackendStyle, DrawingBackend, DrawingErrorKind};
use plotters_bitmap::BitMapBackend;

use super::canvas::{Align, Mark, pixel};
use super::text::Face;
use crate::present::palette::Colour;

/// Drawn pixels to one written pixel, in each direction.
const OVERSAMPLE: u32 = 3;

/// Draws at `size` and returns the PNG.
pub fn png(size: (u32, u32), marks: &[Mark]) -> Result<Vec<u8>> {
    let large = (size.0 * OVERSAMPLE, size.1 * OVERSAMPLE);
    let mut pixels = vec![0; large.0 as usize * large.1 as usize * 3];
    {
        let mut backend = BitMapBackend::with_buffer(&mut pixels, large);
        for mark in marks {
            paint(&mut backend, mark)?;
        }
        backend.present()?;
    }
    let small = shrink(&pixels, size);
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, size.0, size.1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::High);
    // Flat areas compress best as they are; guessing filters is for photographs.
    encoder.set_filter(png::Filter::NoFilter);
    encoder
        .write_header()
        .and_then(|mut writer| writer.write_image_data(&small))
        .context("encoding the PNG")?;
    Ok(out)
}

/// Averages squares of [`OVERSAMPLE`] pixels.
fn shrink(pixels: &[u8], (width, height): (u32, u32)) -> Vec<u8> {
    let n = OVERSAMPLE as usize;
    let stride = width as usize * n * 3;
    let mut out = Vec::with_capacity(width as usize * height as usize * 3);
    for y in 0..height as usize {
        for x in 0..width as usize {
            for channel in 0..3 {
                let mut sum = 0;
                for dy in 0..n {
                    let start = (y * n + dy) * stride + x * n * 3 + channel;
                    sum += (0..n).map(|dx| u32::from(pixels[start + dx * 3])).sum::<u32>();
                }
                let area = OVERSAMPLE * OVERSAMPLE;
                out.push(((sum + area / 2) / area) as u8);
            }
        }
    }
    out
}

type Drawn = Result<(), DrawingErrorKind<<BitMapBackend<'static> as DrawingBackend>::ErrorType>>;

/// A colour and the width of a line in pixels.
struct Stroke(BackendColor, u32);

impl BackendStyle for Stroke {
    fn color(&self) -> BackendColor {
        self.0
    }

    fn stroke_width(&self) -> u32 {
        self.1
    }
}

fn paint(backend: &mut BitMapBackend, mark: &Mark) -> Drawn {
    let scale = f64::from(OVERSAMPLE);
    let length = |units: f64| (units * scale).round().max(1.0) as u32;
    let fill = |colour: &Colour| BackendColor { alpha: 1.0, rgb: colour.rgb() };
    match mark {
        Mark::Text { text, at, kind, align } => {
            let (x, y) = pixel(*at, scale);
            let face = Face::new(kind.size * scale, kind.bold);
            let left = match align {
                Align::Left => 0.0,
                Align::Middle => face.width(text) / 2.0,
                Align::Right => face.width(text),
            };
            // The shift that the SVG asks for, so that both look alike: an ex is 0.547 em in DejaVu.
            let baseline = f64::from(y) + kind.size * scale * 0.5 * 0.547;
            let (width, height) = backend.get_size();
            face.cover(text, f64::from(x) - left, baseline, |x, y, coverage| {
                if x < 0 || y < 0 || x >= width as i32 || y >= height as i32 {
                    return Ok(());
                }
                backend.draw_pixel((x, y), BackendColor { alpha: coverage, ..fill(&kind.colour) })
            })
        }
        Mark::Path { points, colour, width } => {
            let points = points.iter().map(|point| pixel(*point, scale));
            backend.draw_path(points, &Stroke(fill(colour), length(*width)))
        }
        Mark::Rect { from, to, colour } => {
            let (from, to) = (pixel(*from, scale), pixel(*to, scale));
            if to.0 <= from.0 || to.1 <= from.1 {
                return Ok(());
            }
            backend.draw_rect(from, to, &fill(colour), true)
        }
        Mark::Circle { centre, radius, colour } => {
            backend.draw_circle(pixel(*centre, scale), length(*radius), &fill(colour), true)
        }
        Mark::Polygon { corners, colour } => {
            let corners: Vec<(i32, i32)> = corners.iter().map(|corner| pixel(*corner, scale)).collect();
            backend.fill_polygon(corners, &fill(colour))
        }
    }
}
