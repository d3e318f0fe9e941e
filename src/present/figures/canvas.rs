//! A surface to draw on, in the same coordinates for vectors and pixels.

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea as _};
use plotters::element::{Circle, PathElement, Polygon, Rectangle, Text};
use plotters::prelude::DrawingBackend;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color as _, FontStyle, IntoFont as _, RGBColor, TextStyle};

use super::text::{FAMILY, Face};
use crate::present::palette::{Colour, PAPER, Style};
use crate::prose::printable;

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

/// A drawing surface of [`super::WIDTH`] units across.
pub struct Canvas<B: DrawingBackend> {
    area: DrawingArea<B, Shift>,
    scale: f64,
}

impl<B: DrawingBackend> Canvas<B> {
    /// An empty canvas that draws through `backend`, whose pixels are `scale` to the unit.
    pub fn new(mut backend: B, scale: u32) -> Result<Canvas<B>> {
        // Past the area, which would clip the last row and column away.
        let (width, height) = backend.get_size();
        done(backend.draw_rect((0, 0), (width as i32, height as i32), &rgb(PAPER), true))?;
        Ok(Canvas { area: backend.into_drawing_area(), scale: f64::from(scale) })
    }

    /// Hands the drawing over; without it an SVG has no end.
    pub fn finish(&self) -> Result<()> {
        done(self.area.present())
    }

    /// Text on one line, centred on `y`.
    pub fn text(&self, text: &str, x: f64, y: f64, kind: Type, align: Align) -> Result<()> {
        let text = printable(text);
        if text.is_empty() {
            return Ok(());
        }
        let weight = if kind.bold { FontStyle::Bold } else { FontStyle::Normal };
        // Plotters divides by this to get from its size to the em square.
        let font = (FAMILY, kind.size * self.scale * 1.24, weight).into_font();
        let h = match align {
            Align::Left => HPos::Left,
            Align::Middle => HPos::Center,
            Align::Right => HPos::Right,
        };
        let colour = rgb(kind.colour);
        let style = TextStyle::from(font).color(&colour).pos(Pos::new(h, VPos::Center));
        done(self.area.draw(&Text::new(text, self.at(x, y), style)))
    }

    /// A straight line.
    pub fn line(&self, from: (f64, f64), to: (f64, f64), colour: Colour, width: f64) -> Result<()> {
        self.path(&[from, to], colour, width)
    }

    /// A line through all points.
    pub fn path(&self, points: &[(f64, f64)], colour: Colour, width: f64) -> Result<()> {
        let points: Vec<(i32, i32)> = points.iter().map(|(x, y)| self.at(*x, *y)).collect();
        let stroke = rgb(colour).stroke_width((width * self.scale).round().max(1.0) as u32);
        done(self.area.draw(&PathElement::new(points, stroke)))
    }

    /// A filled rectangle from its left upper to its right lower corner.
    pub fn rect(&self, from: (f64, f64), to: (f64, f64), colour: Colour) -> Result<()> {
        let (from, to) = (self.at(from.0, from.1), self.at(to.0, to.1));
        if to.0 <= from.0 || to.1 <= from.1 {
            return Ok(());
        }
        done(self.area.draw(&Rectangle::new([from, to], rgb(colour).filled())))
    }

    /// A strategy's marker.
    pub fn marker(&self, x: f64, y: f64, radius: f64, style: Style) -> Result<()> {
        self.shape(x, y, radius, style, style.colour)
    }

    /// A strategy's marker as an outline: a value that is not where it is drawn.
    pub fn hollow_marker(&self, x: f64, y: f64, radius: f64, style: Style) -> Result<()> {
        self.shape(x, y, radius, style, style.colour)?;
        self.shape(x, y, radius * 0.55, style, PAPER)
    }

    fn shape(&self, x: f64, y: f64, radius: f64, style: Style, colour: Colour) -> Result<()> {
        match style.marker.corners(radius) {
            None => {
                let radius = (radius * self.scale).round().max(1.0) as i32;
                done(self.area.draw(&Circle::new(self.at(x, y), radius, rgb(colour).filled())))
            }
            Some(corners) => {
                let points: Vec<(i32, i32)> =
                    corners.iter().map(|(dx, dy)| self.at(x + dx, y + dy)).collect();
                done(self.area.draw(&Polygon::new(points, rgb(colour).filled())))
            }
        }
    }

    fn at(&self, x: f64, y: f64) -> (i32, i32) {
        ((x * self.scale).round() as i32, (y * self.scale).round() as i32)
    }
}

fn rgb(colour: Colour) -> RGBColor {
    let (r, g, b) = colour.rgb();
    RGBColor(r, g, b)
}

/// Backends' errors need not live long enough for `anyhow`; their text does.
fn done<T, E: std::fmt::Display>(result: Result<T, E>) -> Result<T> {
    result.map_err(|error| anyhow!("{error}"))
}
