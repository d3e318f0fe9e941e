//! The font that figures are measured and drawn with.
//!
//! It is embedded, so that pictures do not depend on what a machine has installed. An SVG names only `sans-serif`;
//! DejaVu is wider than most of what that resolves to, hence what fits here fits there.

use std::sync::LazyLock;

use ab_glyph::{Font as _, FontRef, PxScale, ScaleFont as _, point};

/// The family that figures name; readers see whatever their system shows for it.
pub const FAMILY: &str = "sans-serif";

static NORMAL: &[u8] = include_bytes!("../../../assets/fonts/DejaVuSans-subset.ttf");
static BOLD: &[u8] = include_bytes!("../../../assets/fonts/DejaVuSans-Bold-subset.ttf");

static FONTS: LazyLock<[FontRef<'static>; 2]> = LazyLock::new(|| {
    [NORMAL, BOLD].map(|bytes| FontRef::try_from_slice(bytes).expect("the embedded font is a font"))
});

/// A font of one weight at one size.
#[derive(Clone, Copy)]
pub struct Face {
    font: &'static FontRef<'static>,
    size: f64,
}

impl Face {
    /// The face whose em square is `size` high.
    pub fn new(size: f64, bold: bool) -> Face {
        Face { font: &FONTS[usize::from(bold)], size }
    }

    /// `ab_glyph` scales by the height of a line, everyone else by the em square.
    fn scale(self) -> PxScale {
        let em = self.font.units_per_em().expect("the embedded font has an em square");
        PxScale::from(self.size as f32 * self.font.height_unscaled() / em)
    }

    /// Advance width of a line of text.
    pub fn width(self, text: &str) -> f64 {
        let font = self.font.as_scaled(self.scale());
        text.chars().map(|c| f64::from(font.h_advance(font.glyph_id(c)))).sum()
    }

    /// Calls `pixel` with the coverage of each pixel of the text whose baseline begins at (`x`, `y`).
    ///
    /// Plotters can do this itself, but it drops each glyph's left bearing, which makes the spacing uneven.
    pub fn cover<E>(
        self,
        text: &str,
        x: f64,
        y: f64,
        mut pixel: impl FnMut(i32, i32, f64) -> Result<(), E>,
    ) -> Result<(), E> {
        let scale = self.scale();
        let font = self.font.as_scaled(scale);
        let mut x = x as f32;
        for c in text.chars() {
            let id = font.glyph_id(c);
            let glyph = id.with_scale_and_position(scale, point(x, y as f32));
            if let Some(outline) = self.font.outline_glyph(glyph) {
                let origin = outline.px_bounds().min;
                let mut result = Ok(());
                outline.draw(|dx, dy, coverage| {
                    if result.is_ok() && coverage > 0.0 {
                        let at = (origin.x as i32 + dx as i32, origin.y as i32 + dy as i32);
                        result = pixel(at.0, at.1, f64::from(coverage.min(1.0)));
                    }
                });
                result?;
            }
            x += font.h_advance(id);
        }
        Ok(())
    }
}

/// Breaks prose at spaces into lines of at most `width`; a word that is wider than a line is cut.
pub fn wrap(text: &str, face: Face, width: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in words(text) {
        let longer = if line.is_empty() { word.clone() } else { format!("{line} {word}") };
        if !line.is_empty() && face.width(&longer) > width {
            lines.push(std::mem::take(&mut line));
            line = cut(&word, face, width);
        } else {
            line = cut(&longer, face, width);
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// Words of a text, a figure and its unit being one.
fn words(text: &str) -> Vec<String> {
    const UNITS: [&str; 9] = ["ns", "µs", "ms", "s", "B", "KiB", "MiB", "GiB", "%"];
    let mut words: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let unit = UNITS.contains(&word.trim_end_matches([')', ';', ',', '.', ':']));
        match words.last_mut().filter(|last| unit && last.ends_with(|c: char| c.is_ascii_digit())) {
            Some(figure) => *figure += &format!("\u{a0}{word}"),
            None => words.push(word.into()),
        }
    }
    words
}

/// Cuts a line's end off, leaving a sign that something is missing.
pub fn cut(text: &str, face: Face, width: f64) -> String {
    if face.width(text) <= width {
        return text.into();
    }
    let mut out = text.to_owned();
    while out.pop().is_some() {
        let shorter = format!("{}…", out.trim_end());
        if face.width(&shorter) <= width {
            return shorter;
        }
    }
    "…".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_wrapped_within_its_width() {
        let face = Face::new(20.0, false);
        let lines = wrap("one two three four fiveandahalfverylongwordindeed six", face, 120.0);
        assert!(lines.len() > 3);
        assert!(lines.iter().all(|line| face.width(line) <= 120.0), "{lines:?}");
        assert!(lines.iter().any(|line| line.ends_with('…')));
        assert_eq!(cut("short", face, 200.0), "short");
        assert_eq!(cut("anything", face, 0.0), "…");
    }

    #[test]
    fn a_figure_stays_with_its_unit() {
        assert_eq!(
            words("peak (27.9 MiB); 3 ms is it"),
            ["peak", "(27.9\u{a0}MiB);", "3\u{a0}ms", "is", "it"]
        );
    }

    #[test]
    fn the_font_has_what_figures_write() {
        for c in "AZaz09µμ×±−–—…≤≥≈·°→%/()".chars() {
            assert_ne!(FONTS[0].glyph_id(c).0, 0, "no glyph for {c}");
            assert_ne!(FONTS[1].glyph_id(c).0, 0, "no bold glyph for {c}");
        }
    }

    #[test]
    fn bold_is_wider() {
        assert!(Face::new(20.0, true).width("width") > Face::new(20.0, false).width("width"));
    }
}
