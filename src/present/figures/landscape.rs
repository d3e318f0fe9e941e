//! The figures of a landscape: what its places have in common is in [`setting`].

mod dirty;
mod portrait;
pub mod setting;
mod threads;

pub use dirty::DirtyFigure;
pub use portrait::PortraitFigure;
pub use setting::{Curve, Setting, pages, settings};
pub use threads::ThreadsFigure;

use super::Drawable;
use crate::present::palette::Palette;
use crate::present::view::slug;

/// All figures of a landscape that its data allow, each with what its file is called after its kind.
pub fn of<'a>(settings: &'a [Setting<'a>], palette: &Palette) -> Vec<(String, Box<dyn Drawable + 'a>)> {
    let mut figures: Vec<(String, Box<dyn Drawable + 'a>)> = Vec::new();
    for setting in settings {
        let slug = slug(&setting.title);
        if let Some(figure) = DirtyFigure::new(setting, palette) {
            figures.push((slug.clone(), Box::new(figure)));
        }
        if let Some(figure) = PortraitFigure::new(setting, palette) {
            figures.push((slug, Box::new(figure)));
        }
    }
    if let Some(figure) = ThreadsFigure::new(settings, palette) {
        figures.push(("landscape".into(), Box::new(figure)));
    }
    figures
}
