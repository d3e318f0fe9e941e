//! One colour per strategy family, everywhere: in tables, in figures, in the light and in the dark.
//!
//! A family is told by hue and lightness together, because hue alone fails the colour-blind; within a family the
//! variants differ in shade and, for those who see no shades, in [`Marker`]. The colours were searched so that the
//! families stay apart under simulated protanopia, deuteranopia and tritanopia, and so that each shade has a contrast
//! of 3:1 on its background (WCAG 1.4.11); the tests below check both again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::view::family;

/// A colour on white and its counterpart on a dark background, as `0xRRGGBB`.
///
/// Figures are drawn in `light`; the report's stylesheet swaps in `dark` (see [`dark_rules`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour {
    /// On white, and in every file that is a picture.
    pub light: u32,
    /// On a dark page.
    pub dark: u32,
}

impl Colour {
    const fn new(light: u32, dark: u32) -> Colour {
        Colour { light, dark }
    }

    /// Red, green and blue of the light form.
    pub fn rgb(self) -> (u8, u8, u8) {
        let [_, r, g, b] = self.light.to_be_bytes();
        (r, g, b)
    }

    /// `#RRGGBB` of the light form.
    pub fn hex(self) -> String {
        format!("#{:06X}", self.light)
    }
}

/// Behind everything.
pub const PAPER: Colour = Colour::new(0xFFFFFF, 0x161A1F);
/// Text and axes.
pub const INK: Colour = Colour::new(0x1F2328, 0xE6EAEF);
/// Secondary text.
pub const MUTED: Colour = Colour::new(0x59636E, 0x9AA5B1);
/// Grid lines.
pub const GRID: Colour = Colour::new(0xDDE1E6, 0x323A43);
/// The part of a bar that is not the strategy's colour.
pub const SOFT: Colour = Colour::new(0xB4BDC7, 0x56616D);
/// Every second row, to lead the eye from a name to its mark.
pub const STRIPE: Colour = Colour::new(0xF5F7F9, 0x1D2329);

/// Shades of a family; the first is its colour.
type Shades = [Colour; 6];

const FRESH: Shades = colours(
    [0x234993, 0x3B79C2, 0x1E2B77, 0x4D5AAC, 0x4790D8, 0x203A85],
    [0x86CDFF, 0x57A9D2, 0xC6E2FD, 0x82B5EF, 0x419BBF, 0xDCEEFD],
);
const COPY: Shades = colours(
    [0x724305, 0xA4622B, 0x513301, 0x835A07, 0xBD7546, 0x613C05],
    [0xFFDA7E, 0xE3AD4B, 0xE4CA5F, 0xB8A636, 0xFEECD3, 0xAF8F15],
);
const DIRTY: Shades = colours(
    [0x0F9F8C, 0x046852, 0x12837B, 0x034D4B, 0x119370, 0x075A51],
    [0x34B1A0, 0x72DFC2, 0x0A938E, 0x47C7C5, 0x8EF6D3, 0x0FA196],
);
const REMAP: Shades = colours(
    [0xE75B03, 0xAB2B03, 0xB85807, 0x763B03, 0xDE4833, 0xAD4A01],
    [0xFE711F, 0xFFB29B, 0xCC6605, 0xFF963D, 0xFECEC3, 0xE46904],
);
const ADAPTIVE: Shades = colours(
    [0xA369EA, 0x683BBB, 0x964AC6, 0x6E1190, 0x8264E7, 0x8540BD],
    [0xB264FB, 0xC5AEFD, 0xA643D4, 0xDB75FE, 0xD5CDFE, 0xAD53E8],
);
const CONTROL: Shades = colours(
    [0x636363, 0x898989, 0x424242, 0x777777, 0x525252, 0x353535],
    [0x6F6F6F, 0x989898, 0xBEBEBE, 0x838383, 0xABABAB, 0xD7D7D7],
);
/// For a family that nobody has given a colour yet.
const OTHER: Shades = colours(
    [0x7A5C75, 0x94758F, 0x5C4058, 0x876882, 0x6B4E66, 0x4D334A],
    [0xB795B1, 0xD3B0CD, 0x9B7A95, 0xC5A2BF, 0xA98753, 0xE1BEDB],
);

const FAMILIES: [(&str, Shades); 6] = [
    ("fresh", FRESH),
    ("copy", COPY),
    ("dirty", DIRTY),
    ("remap", REMAP),
    ("adaptive", ADAPTIVE),
    ("control", CONTROL),
];

/// Outcomes of `determinism`, from what is safe to what nobody notices: the state of an unlimited host, an error in words,
/// another error, a signal, another state. Lightness differs as well as hue.
pub const OUTCOMES: [Colour; 5] = colours(
    [0xC9E8D2, 0xCFE0F5, 0xFBE3B5, 0xF3B48C, 0xE58A8A],
    [0x1F4A2E, 0x1F3A5C, 0x5A4313, 0x7A3A14, 0x8A1F26],
);

/// Shares of a field that are dirty: some, a quarter, half, three quarters, all. Their lightness alone tells them apart.
pub const SHARES: [Colour; 5] = colours(
    [0xDCE7F4, 0xAFC8E4, 0x7DA3CF, 0x4678B0, 0x163F73],
    [0x22303F, 0x2E4A6B, 0x4270A3, 0x6A9DD6, 0xB3D6F9],
);

/// Stages of startup: blues and golds in turn, so that neighbours differ most and colour blindness does not matter.
const STAGES: [Colour; 8] = colours(
    [0x1F3B73, 0xD9B63A, 0x8399CC, 0x7A6512, 0x4A69AE, 0x4A3E10, 0xBAC7E6, 0x9C832A],
    [0x5473BD, 0xE0BE45, 0xA9BBE3, 0x94803A, 0x7391D6, 0x75683A, 0xD3DDF2, 0xB39A3C],
);

/// The colours of these light and dark forms.
const fn colours<const N: usize>(light: [u32; N], dark: [u32; N]) -> [Colour; N] {
    let mut out = [Colour::new(0, 0); N];
    let mut i = 0;
    while i < N {
        out[i] = Colour::new(light[i], dark[i]);
        i += 1;
    }
    out
}

/// The colour of a stage of startup; after eight they repeat.
pub fn stage(index: usize) -> Colour {
    STAGES[index % STAGES.len()]
}

/// The colour of a family, by its name or that of one of its strategies.
pub fn family_colour(name: &str) -> Colour {
    family_shades(name)[0]
}

fn family_shades(name: &str) -> &'static Shades {
    FAMILIES.iter().find(|(known, _)| *known == family(name)).map_or(&OTHER, |(_, shades)| shades)
}

/// Where a family stands in a list: in the order of the palette, unknown ones after, controls last.
pub fn family_rank(name: &str) -> usize {
    let family = family(name);
    if family == "control" {
        return usize::MAX;
    }
    FAMILIES.iter().position(|(known, _)| *known == family).unwrap_or(FAMILIES.len())
}

/// The shape that tells variants of a family apart without colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    /// The first of a family.
    Circle,
    /// Edges upright.
    Square,
    /// A triangle on its base.
    Up,
    /// A square on its corner.
    Diamond,
    /// A triangle on its tip.
    Down,
    /// Four arms, upright.
    Cross,
}

impl Marker {
    const ALL: [Marker; 6] =
        [Marker::Circle, Marker::Square, Marker::Up, Marker::Diamond, Marker::Down, Marker::Cross];

    /// Corners around the origin for a marker of the given radius; `None` for the circle.
    ///
    /// The radii differ a little so that all shapes cover about the same area.
    pub fn corners(self, radius: f64) -> Option<Vec<(f64, f64)>> {
        let (r, side) = (radius, 0.88 * radius);
        Some(match self {
            Marker::Circle => return None,
            Marker::Square => vec![(-side, -side), (side, -side), (side, side), (-side, side)],
            Marker::Up => vec![(0.0, -1.2 * r), (1.15 * r, 0.85 * r), (-1.15 * r, 0.85 * r)],
            Marker::Down => vec![(0.0, 1.2 * r), (-1.15 * r, -0.85 * r), (1.15 * r, -0.85 * r)],
            Marker::Diamond => vec![(0.0, -1.3 * r), (1.15 * r, 0.0), (0.0, 1.3 * r), (-1.15 * r, 0.0)],
            Marker::Cross => {
                let (a, b) = (1.15 * r, 0.42 * r);
                let mut arms = vec![(-b, -a), (b, -a), (b, -b)];
                // Each arm is the one before it, turned to the right.
                for i in 0..9 {
                    let (x, y) = arms[i];
                    arms.push((-y, x));
                }
                arms
            }
        })
    }
}

/// How one strategy is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// A shade of the family's colour.
    pub colour: Colour,
    /// The variant's shape.
    pub marker: Marker,
}

/// The styles of all strategies of a run.
#[derive(Clone, Debug, Default)]
pub struct Palette {
    styles: BTreeMap<String, Style>,
}

impl Palette {
    /// Gives each name its style; the same set of names always gets the same styles.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Palette {
        let mut next: BTreeMap<&str, usize> = BTreeMap::new();
        let names: BTreeSet<&str> = names.into_iter().collect();
        let styles = names
            .into_iter()
            .map(|name| {
                let index = next.entry(family(name)).or_default();
                let style = Style {
                    colour: family_shades(name)[*index % 6],
                    // After six variants the shades repeat; shifted markers keep the pairs unique up to 36.
                    marker: Marker::ALL[(*index + *index / 6) % 6],
                };
                *index += 1;
                (name.to_owned(), style)
            })
            .collect();
        Palette { styles }
    }

    /// The style of a strategy; one that was not announced gets its family's first.
    pub fn style(&self, name: &str) -> Style {
        let first = || Style { colour: family_colour(name), marker: Marker::Circle };
        self.styles.get(name).copied().unwrap_or_else(first)
    }
}

/// Every colour that a figure may use.
fn all() -> impl Iterator<Item = Colour> {
    let families = FAMILIES.iter().flat_map(|(_, shades)| *shades);
    [PAPER, INK, MUTED, GRID, SOFT, STRIPE]
        .into_iter()
        .chain(families)
        .chain(OTHER)
        .chain(STAGES)
        .chain(OUTCOMES)
        .chain(SHARES)
}

/// CSS rules that turn the light colours of an inline SVG into the dark ones.
///
/// Plotters writes colours as attributes, and CSS wins over attributes: the drawing itself stays untouched.
pub fn dark_rules() -> String {
    let mut css = String::new();
    for colour in all() {
        let (light, dark) = (colour.hex(), colour.dark);
        let _ = writeln!(
            css,
            "svg [fill=\"{light}\"]{{fill:#{dark:06X}}}svg [stroke=\"{light}\"]{{stroke:#{dark:06X}}}"
        );
    }
    css
}

#[cfg(test)]
mod tests;
