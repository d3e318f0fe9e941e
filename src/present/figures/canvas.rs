//! A surface to draw on: it keeps what is drawn, from the back to the front, and writes it as SVG.

use super::text::{FAMILY, Face};
use crate::present::palette::{Colour, PAPER, Style};
use crate::prose::{escaped, printable};

/// A place from the left and from the top, in units of the SVG.
pub type Point = (f64, f64);

/// Which part of a text lies at the given point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Left,
    Middle,
    Right,
}

/// Size, weight and colour of a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Type {
    pub size: f64,
    pub bold: bool,
    pub colour: Colour,
}

impl Type {
    /// Regular text.
    pub const fn new(size: f64, colour: Colour) -> Type {
        Type { size, bold: false, colour }
    }

    /// The same in bold.
    pub const fn bold(self) -> Type {
        Type { bold: true, ..self }
    }

    /// The face to measure with.
    pub fn face(self) -> Face {
        Face::new(self.size, self.bold)
    }
}

/// What can be drawn.
#[derive(Clone, Debug)]
pub enum Mark {
    Text { text: String, at: Point, kind: Type, align: Align },
    Path { points: Vec<Point>, colour: Colour, width: f64 },
    Rect { from: Point, to: Point, colour: Colour },
    Circle { centre: Point, radius: f64, colour: Colour },
    Polygon { corners: Vec<Point>, colour: Colour },
}

/// A drawing surface of [`super::WIDTH`] units across.
#[derive(Clone, Debug, Default)]
pub struct Canvas {
    marks: Vec<Mark>,
}

impl Canvas {
    /// Text on one line, centred on `y`.
    pub fn text(&mut self, text: &str, x: f64, y: f64, kind: Type, align: Align) {
        let text = printable(text);
        if !text.is_empty() {
            self.marks.push(Mark::Text { text, at: (x, y), kind, align });
        }
    }

    /// A straight line.
    pub fn line(&mut self, from: Point, to: Point, colour: Colour, width: f64) {
        self.path(&[from, to], colour, width);
    }

    /// A line through all points.
    pub fn path(&mut self, points: &[Point], colour: Colour, width: f64) {
        self.marks.push(Mark::Path { points: points.to_vec(), colour, width });
    }

    /// A filled rectangle from its left upper to its right lower corner.
    pub fn rect(&mut self, from: Point, to: Point, colour: Colour) {
        self.marks.push(Mark::Rect { from, to, colour });
    }

    /// A strategy's marker.
    pub fn marker(&mut self, centre: Point, radius: f64, style: Style) {
        self.shape(centre, radius, style, style.colour);
    }

    /// A strategy's marker as an outline: a value that is not where it is drawn.
    pub fn hollow_marker(&mut self, centre: Point, radius: f64, style: Style) {
        self.shape(centre, radius, style, style.colour);
        self.shape(centre, radius * 0.55, style, PAPER);
    }

    fn shape(&mut self, centre: Point, radius: f64, style: Style, colour: Colour) {
        self.marks.push(match style.marker.corners(radius) {
            None => Mark::Circle { centre, radius, colour },
            Some(corners) => {
                let corners = corners.iter().map(|(dx, dy)| (centre.0 + dx, centre.1 + dy)).collect();
                Mark::Polygon { corners, colour }
            }
        });
    }

    /// The drawing as SVG, whose `name` says what is seen on it: without one a screen reader spells out every tick.
    pub fn svg(&self, (width, height): (u32, u32), name: &str) -> String {
        let name = escaped(&printable(name));
        let head = format!(
            r#"<svg role="img" aria-label="{name}" width="{width}" height="{height}" viewBox="0 0 {width} {height}" "#
        );
        let tags = self.on_paper((width, height)).iter().filter_map(tag).collect::<String>();
        format!("{head}xmlns=\"http://www.w3.org/2000/svg\">\n{tags}</svg>\n")
    }

    /// All marks, behind them a sheet of this size.
    pub fn on_paper(&self, (width, height): (u32, u32)) -> Vec<Mark> {
        let corner = (f64::from(width), f64::from(height));
        let paper = Mark::Rect { from: (0.0, 0.0), to: corner, colour: PAPER };
        [&[paper], self.marks.as_slice()].concat()
    }
}

/// The pixel that a place lies in, at so many pixels to the unit.
pub fn pixel((x, y): Point, scale: f64) -> (i32, i32) {
    ((x * scale).round() as i32, (y * scale).round() as i32)
}

/// The element of a mark; none where it is too thin to be seen.
fn tag(mark: &Mark) -> Option<String> {
    let at = |point: &Point| pixel(*point, 1.0);
    let list =
        |points: &[Point]| -> String { points.iter().map(at).map(|(x, y)| format!("{x},{y} ")).collect() };
    let element = match mark {
        Mark::Text { text, at: place, kind, align } => {
            let (x, y) = at(place);
            let anchor = match align {
                Align::Left => "start",
                Align::Middle => "middle",
                Align::Right => "end",
            };
            // Multiplied and divided, as it was in the figures that are committed.
            let (size, fill) = (kind.size * 1.24 / 1.24, kind.colour.hex());
            let weight = if kind.bold { " font-weight=\"bold\"" } else { "" };
            let text = escaped(text).replace('\'', "&apos;");
            format!(
                "<text x=\"{x}\" y=\"{y}\" dy=\"0.5ex\" text-anchor=\"{anchor}\" font-family=\"{FAMILY}\" \
                 font-size=\"{size}\" opacity=\"1\" fill=\"{fill}\"{weight}>\n{text}\n</text>"
            )
        }
        Mark::Path { points, colour, width } => format!(
            r#"<polyline fill="none" opacity="1" stroke="{}" stroke-width="{}" points="{}"/>"#,
            colour.hex(),
            width.round().max(1.0),
            list(points)
        ),
        Mark::Rect { from, to, colour } => {
            let ((x, y), (right, bottom)) = (at(from), at(to));
            let (width, height) = (right - x, bottom - y);
            if width <= 0 || height <= 0 {
                return None;
            }
            let fill = colour.hex();
            format!(
                r#"<rect x="{x}" y="{y}" width="{width}" height="{height}" opacity="1" fill="{fill}" stroke="none"/>"#
            )
        }
        Mark::Circle { centre, radius, colour } => {
            let ((x, y), radius, fill) = (at(centre), radius.round().max(1.0), colour.hex());
            format!(
                r#"<circle cx="{x}" cy="{y}" r="{radius}" opacity="1" fill="{fill}" stroke="none" stroke-width="1"/>"#
            )
        }
        Mark::Polygon { corners, colour } => {
            format!(r#"<polygon opacity="1" fill="{}" points="{}"/>"#, colour.hex(), list(corners))
        }
    };
    Some(element + "\n")
}
