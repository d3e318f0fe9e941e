//! The phase portrait: which strategy wins, over dirty pages and the pattern in which they lie.
//!
//! Every field says its winner in words, so that the colours only help, and what choosing otherwise costs: the regret of
//! the next best, and of the baseline.

use std::collections::BTreeSet;

use anyhow::Result;
use plotters::prelude::DrawingBackend;

use super::setting::{Curve, Setting, pages};
use crate::present::figures::canvas::{Align, Canvas, Type};
use crate::present::figures::parts::{MARGIN, SMALL, heading, heading_height};
use crate::present::figures::text::cut;
use crate::present::figures::{Figure, Numbers, WIDTH};
use crate::present::palette::{INK, MUTED, Palette, STRIPE};
use crate::present::view::{Group, Shown, family, variant};
use crate::prose::printable;
use crate::units::{ns, ratio};

const TILE: f64 = 124.0;
/// The pattern above its fields, and the numbers of pages above all.
const HEAD: f64 = 34.0;
const GAP: f64 = 4.0;
/// The stripe in the winner's colour.
const BAND: f64 = 9.0;
const WORD: Type = Type::new(17.5, INK);
const FAINT: Type = Type::new(17.5, MUTED);

/// The winners of one setting.
pub struct PortraitFigure<'a> {
    subject: String,
    finding: String,
    curves: Vec<&'a Curve<'a>>,
    dirty: Vec<u64>,
    palette: Palette,
}

impl<'a> PortraitFigure<'a> {
    /// The portrait, unless there is nothing to compare: one pattern with one number of dirty pages.
    pub fn new(setting: &'a Setting<'a>, palette: &Palette) -> Option<PortraitFigure<'a>> {
        let curves: Vec<&Curve> = setting.curves.iter().collect();
        let dirty: BTreeSet<u64> =
            curves.iter().flat_map(|curve| curve.places.iter().map(|(d, _)| *d)).collect();
        if dirty.len() * curves.len() < 2 {
            return None;
        }
        Some(PortraitFigure {
            subject: format!("{}: who wins where", setting.title),
            finding: finding(&curves),
            curves,
            dirty: dirty.into_iter().collect(),
            palette: palette.clone(),
        })
    }

    fn tile(&self) -> f64 {
        (f64::from(WIDTH) - 2.0 * MARGIN) / self.dirty.len().max(1) as f64
    }

    fn draw_tile<B: DrawingBackend>(
        &self,
        canvas: &Canvas<B>,
        group: &Group,
        (x, y): (f64, f64),
    ) -> Result<()> {
        let Some(best) = group.best() else { return Ok(()) };
        let (right, bottom) = (x + self.tile() - GAP, y + TILE - GAP);
        canvas.rect((x, y), (right, bottom), STRIPE)?;
        let tied = next(group).filter(|next| tied(*next));
        let half = if tied.is_some() { (y + bottom) / 2.0 } else { bottom };
        canvas.rect((x, y), (x + BAND, half), self.palette.style(best.name()).colour)?;
        if let Some(tied) = tied {
            canvas.rect((x, half), (x + BAND, bottom), self.palette.style(tied.name()).colour)?;
        }
        let left = x + BAND + 8.0;
        let room = right - left - 2.0;
        let mut line = 0.0;
        let mut write = |text: &str, kind: Type| {
            line += 1.0;
            canvas.text(
                &cut(&printable(text), kind.face(), room),
                left,
                y - 9.0 + 23.5 * line,
                kind,
                Align::Left,
            )
        };
        // A long name is better in a light face than cut.
        let fits = WORD.bold().face().width(variant(best.name())) <= room;
        write(family(best.name()), SMALL)?;
        write(variant(best.name()), if fits { WORD.bold() } else { WORD })?;
        write(&best.cycle().map_or(String::new(), |q| ns(q.p50)), WORD)?;
        let next = next(group).and_then(Shown::regret).map(|r| format!("next ×{}", ratio(r.value)));
        write(next.as_deref().unwrap_or("no other"), SMALL)?;
        match baseline(group).and_then(Shown::regret) {
            Some(regret) => write(&format!("base ×{}", ratio(regret.value)), SMALL),
            None => Ok(()),
        }
    }
}

/// The second best contender.
pub fn next<'a>(group: &Group<'a>) -> Option<Shown<'a>> {
    let best = group.best()?;
    let timed = group.sorted(false, |cell| cell.cycle().map(|q| q.p50)).into_iter();
    timed.filter(|cell| cell.cycle().is_some()).find(|cell| cell.name() != best.name())
}

/// Whether a contender cannot be told from the best.
fn tied(cell: Shown) -> bool {
    cell.regret().is_some_and(|regret| regret.low <= 1.0 && regret.high >= 1.0)
}

fn baseline<'a>(group: &Group<'a>) -> Option<Shown<'a>> {
    group.cells.iter().copied().find(|cell| cell.name() == group.baseline)
}

fn finding(curves: &[&Curve]) -> String {
    let winners: Vec<&str> = curves
        .iter()
        .flat_map(|curve| curve.places.iter().filter_map(|(_, group)| group.best().map(Shown::name)))
        .collect();
    let distinct: BTreeSet<&str> = winners.iter().copied().collect();
    let wins = |name: &&&str| winners.iter().filter(|winner| *winner == *name).count();
    // The first by name of those that win most often.
    let most = distinct.iter().rev().max_by_key(wins);
    most.map_or_else(String::new, |name| {
        format!("{name} wins in {} of {} places", wins(&name), winners.len())
    })
}

impl Figure for PortraitFigure<'_> {
    fn kind(&self) -> &'static str {
        "portrait"
    }

    fn title(&self) -> (String, String) {
        (self.subject.clone(), self.finding.clone())
    }

    fn caption(&self) -> String {
        "Each field names the best sound strategy for a number of dirty pages (across) and the pattern in which they lie and \
         move (down), with its median cycle. \"next\" is the regret of the second best, which is its cycle over the \
         winner's; \"base\" is that of the baseline. The stripe has the winner's colour; where it is split, the lower \
         colour is that of the second best, which cannot be told from the winner."
            .into()
    }

    fn numbers(&self) -> Numbers {
        let head = [
            "pattern",
            "dirty pages",
            "best",
            "cycle p50",
            "next best",
            "regret of next",
            "told apart",
            "regret of baseline",
        ];
        let mut rows = Vec::new();
        for curve in &self.curves {
            for (dirty, group) in &curve.places {
                let Some(best) = group.best() else { continue };
                let next = next(group);
                let regret = |cell: Option<Shown>| {
                    let regret = cell.and_then(Shown::regret);
                    regret.map_or("-".into(), |r| {
                        format!("{} [{}, {}]", ratio(r.value), ratio(r.low), ratio(r.high))
                    })
                };
                rows.push(vec![
                    curve.pattern.clone(),
                    dirty.to_string(),
                    best.name().into(),
                    best.cycle().map_or("-".into(), |q| ns(q.p50)),
                    next.map_or("-".into(), |cell| cell.name().into()),
                    regret(next),
                    next.map_or("-", |cell| if tied(cell) { "no" } else { "yes" }).into(),
                    regret(baseline(group)),
                ]);
            }
        }
        Numbers { head: head.map(String::from).to_vec(), rows }
    }

    fn height(&self) -> u32 {
        (heading_height(&self.finding) + HEAD + (HEAD + TILE) * self.curves.len() as f64 + MARGIN) as u32
    }

    fn draw<B: DrawingBackend>(&self, canvas: &Canvas<B>) -> Result<()> {
        heading(canvas, &self.title())?;
        let top = heading_height(&self.finding) + HEAD;
        let column = |i: usize| MARGIN + self.tile() * i as f64;
        for (i, dirty) in self.dirty.iter().enumerate() {
            let text = if i == 0 { pages(*dirty) } else { dirty.to_string() };
            canvas.text(&text, column(i), top - 18.0, FAINT, Align::Left)?;
        }
        for (row, curve) in self.curves.iter().enumerate() {
            let y = top + (HEAD + TILE) * row as f64 + HEAD;
            let pattern = cut(&printable(&curve.pattern), WORD.face(), f64::from(WIDTH) - 2.0 * MARGIN);
            canvas.text(&pattern, MARGIN, y - 16.0, WORD.bold(), Align::Left)?;
            for (i, dirty) in self.dirty.iter().enumerate() {
                let x = column(i);
                match curve.places.iter().find(|(known, _)| known == dirty) {
                    Some((_, group)) => self.draw_tile(canvas, group, (x, y))?,
                    None => {
                        let centre = (x + (self.tile() - GAP) / 2.0, y + (TILE - GAP) / 2.0);
                        canvas.text("–", centre.0, centre.1, FAINT, Align::Middle)?;
                    }
                }
            }
        }
        Ok(())
    }
}
