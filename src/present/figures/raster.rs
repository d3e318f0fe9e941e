//! PNG from the same strokes: plotters' bitmap backend with better text and smooth edges.
//!
//! Plotters smooths neither polygons nor circles, so everything is drawn several times too large and averaged down.

use anyhow::{Context as _, Result};
use plotters::prelude::{BitMapBackend, DrawingBackend};
use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingErrorKind, FontStyle,
};

use super::canvas::Canvas;
use super::text::Face;

/// Drawn pixels to one written pixel, in each direction.
const OVERSAMPLE: u32 = 3;

/// Draws at `size` and returns the PNG.
pub fn png(size: (u32, u32), draw: impl FnOnce(&Canvas<Raster>) -> Result<()>) -> Result<Vec<u8>> {
    let large = (size.0 * OVERSAMPLE, size.1 * OVERSAMPLE);
    let mut pixels = vec![0; large.0 as usize * large.1 as usize * 3];
    {
        let canvas =
            Canvas::new(Raster { inner: BitMapBackend::with_buffer(&mut pixels, large) }, OVERSAMPLE)?;
        draw(&canvas)?;
        canvas.finish()?;
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

/// Plotters' bitmap backend, except for text.
pub struct Raster<'a> {
    inner: BitMapBackend<'a>,
}

type Drawn = Result<(), DrawingErrorKind<<BitMapBackend<'static> as DrawingBackend>::ErrorType>>;

impl DrawingBackend for Raster<'_> {
    type ErrorType = <BitMapBackend<'static> as DrawingBackend>::ErrorType;

    fn get_size(&self) -> (u32, u32) {
        self.inner.get_size()
    }

    fn ensure_prepared(&mut self) -> Drawn {
        self.inner.ensure_prepared()
    }

    fn present(&mut self) -> Drawn {
        self.inner.present()
    }

    fn draw_pixel(&mut self, point: BackendCoord, colour: BackendColor) -> Drawn {
        self.inner.draw_pixel(point, colour)
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Drawn {
        self.inner.draw_line(from, to, style)
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
        fill: bool,
    ) -> Drawn {
        self.inner.draw_rect(from, to, style, fill)
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn {
        self.inner.draw_path(path, style)
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        centre: BackendCoord,
        radius: u32,
        style: &S,
        fill: bool,
    ) -> Drawn {
        self.inner.draw_circle(centre, radius, style, fill)
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn {
        self.inner.fill_polygon(path, style)
    }

    fn draw_text<S: BackendTextStyle>(&mut self, text: &str, style: &S, at: BackendCoord) -> Drawn {
        // The same em square and the same vertical shifts as plotters' SVG backend, so that both look alike.
        let em = style.size() / 1.24;
        let face = Face::new(em, matches!(style.style(), FontStyle::Bold));
        let x = f64::from(at.0)
            - match style.anchor().h_pos {
                HPos::Left => 0.0,
                HPos::Center => face.width(text) / 2.0,
                HPos::Right => face.width(text),
            };
        // An ex is 0.547 em in DejaVu.
        let y = f64::from(at.1)
            + em * match style.anchor().v_pos {
                VPos::Top => 0.76,
                VPos::Center => 0.5 * 0.547,
                VPos::Bottom => -0.5 * 0.547,
            };
        let colour = style.color();
        let size = self.inner.get_size();
        face.cover(text, x, y, |px, py, coverage| {
            if px < 0 || py < 0 || px >= size.0 as i32 || py >= size.1 as i32 {
                return Ok(());
            }
            self.inner.draw_pixel((px, py), BackendColor { alpha: colour.alpha * coverage, ..colour })
        })
    }
}
