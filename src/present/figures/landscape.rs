//! The figures of a landscape: what its places have in common is in [`setting`].

mod dirty;
mod portrait;
pub mod setting;
mod threads;

use setting::Setting;

use super::Figure;
use crate::present::palette::Palette;
use crate::present::view::slug;

/// All figures of a landscape that its data allow, each with what its file is called after its kind.
pub fn of(settings: &[Setting], palette: &Palette) -> Vec<(String, Figure)> {
    let mut figures = Vec::new();
    for setting in settings {
        let both = [dirty::figure(setting, palette), portrait::figure(setting, palette)];
        figures.extend(both.into_iter().flatten().map(|figure| (slug(&setting.title), figure)));
    }
    figures.extend(threads::figure(settings, palette).map(|figure| ("landscape".into(), figure)));
    figures
}
