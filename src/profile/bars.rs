//! Where a block's time goes under each strategy: a stacked bar of the largest shares.

use super::group::Group;
use super::report::{Cell, Part, Profile, Report};
use super::rules::Share;
use crate::present::fields::ABSENT;
use crate::present::figures::parts::{MARGIN, SMALL};
use crate::present::figures::stacked::{Bars, Line};
use crate::present::figures::text::wrap;
use crate::present::figures::{Figure, Numbers, WIDTH};
use crate::present::palette::Palette;
use crate::units::ns;

/// Shares with a colour of their own.
const NAMED: usize = 7;

const OTHERS: &str = "others";

const CAPTION: &str = "Each bar is the mean time of a block under one strategy, execute and reset together; its parts say where \
    that time goes. The axis is linear, so lengths can be compared.";

/// The shares that are drawn by themselves: the same for all workloads of a report, so that a colour means one thing.
pub fn named(report: &Report) -> Vec<Share> {
    let profiles = || report.cells.iter().filter_map(|cell| cell.profile.as_ref());
    let most = |share: Share| {
        let of = |profile: &Profile| profile.part(share).map_or(0, |part| part.thousandths);
        profiles().map(of).max().unwrap_or(0)
    };
    let mut shares: Vec<(Share, u32)> =
        Share::ALL.map(|share| (share, most(share))).into_iter().filter(|(_, most)| *most > 0).collect();
    shares.sort_by_key(|(share, most)| (std::cmp::Reverse(*most), *share));
    let mut shares: Vec<Share> = shares.into_iter().take(NAMED).map(|(share, _)| share).collect();
    shares.sort_unstable();
    shares
}

/// The bars of one workload; none where none of its strategies was profiled.
pub fn figure(group: &Group, named: &[Share], palette: &Palette) -> Option<Figure> {
    let profiles = group.profiles();
    let parts: Vec<&str> = named.iter().map(|share| share.name()).chain([OTHERS]).collect();
    let lines: Vec<Line> = profiles.iter().map(|(cell, profile)| line(cell, profile, named)).collect();
    let subject = format!("{}: where a block's time goes", group.title());
    // Controls are drawn, and speak only for themselves.
    let contenders = &profiles[..profiles.len() - group.controls()];
    let finding = finding(if contenders.is_empty() { &profiles } else { contenders })?;
    let mut figure = Figure::new("shares", &subject, &finding, CAPTION, numbers(&profiles));
    let bars = Bars { parts: &parts, whole: "the whole block", lines: &lines, controls: group.controls() };
    let bottom = bars.draw(&mut figure, palette);
    let room = f64::from(WIDTH) - 2.0 * MARGIN;
    let notes: Vec<String> = group.caveats().iter().flat_map(|note| wrap(note, SMALL.face(), room)).collect();
    Some(figure.noting(&notes, bottom, 8.0))
}

fn line<'a>(cell: &'a Cell, profile: &Profile, named: &[Share]) -> Line<'a> {
    let time = |share: &Share| profile.part(*share).map_or(0, |part| part.ns as u64);
    let others = profile.cycle.iter().filter(|part| !named.contains(&part.share));
    let others = others.map(|part| part.ns).sum::<f64>() as u64;
    Line { name: &cell.strategy, times: named.iter().map(time).chain([others]).map(Some).collect() }
}

/// Who is fastest, and in which share the slowest loses most; nothing where there is nobody.
fn finding(profiles: &[(&Cell, &Profile)]) -> Option<String> {
    let time = |profile: &Profile| ns(profile.cycle_ns() as u64);
    let by_time =
        |(_, a): &&(&Cell, &Profile), (_, b): &&(&Cell, &Profile)| a.cycle_ns().total_cmp(&b.cycle_ns());
    let (cell, profile) = profiles.iter().min_by(by_time)?;
    let (slowest, other) = profiles.iter().max_by(by_time)?;
    let takes = format!("{} takes {} a block", cell.strategy, time(profile));
    if slowest.strategy == cell.strategy {
        let largest = profile.cycle.iter().max_by_key(|part| part.thousandths)?;
        return Some(format!("{takes}, of which {} takes {}", largest.share.name(), largest.percent()));
    }
    let of = |profile: &Profile, share| profile.part(share).map_or(0.0, |part| part.ns);
    let more = Share::ALL.map(|share| (of(other, share) - of(profile, share), share));
    let (more, share) = more.into_iter().max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    let more = ns(more.max(0.0) as u64);
    Some(format!("{takes}, {} {}, {more} of it more for {}", slowest.strategy, time(other), share.name()))
}

/// All shares that any strategy has, in parts of its block.
fn numbers(profiles: &[(&Cell, &Profile)]) -> Numbers {
    let has = |share: &Share| {
        profiles.iter().any(|(_, profile)| profile.part(*share).is_some_and(|part| part.thousandths > 0))
    };
    let shares: Vec<Share> = Share::ALL.into_iter().filter(has).collect();
    let head: Vec<&str> =
        ["strategy", "a block", "reset"].into_iter().chain(shares.iter().map(|share| share.name())).collect();
    let rows = profiles.iter().map(|(cell, profile)| {
        let share = |share: &Share| profile.part(*share).map_or_else(|| ABSENT.into(), Part::percent);
        let times = [ns(profile.cycle_ns() as u64), ns(profile.reset_ns as u64)];
        [cell.strategy.clone()].into_iter().chain(times).chain(shares.iter().map(share)).collect()
    });
    Numbers::new(&head, rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::present::palette::stage;
    use crate::profile::appendix::tests::report;

    #[test]
    fn bars_have_the_shares_of_their_strategies_in_the_colours_of_all() {
        let report = report();
        let named = named(&report);
        let (with, without) = (Share::Copying, Share::Host);
        assert!(named.len() == NAMED && named.contains(&with) && !named.contains(&without), "{named:?}");
        let groups = Group::all(&report);
        let palette = Palette::default();
        let figure = figure(&groups[0], &named, &palette).expect("strategies were profiled");
        assert_eq!(
            figure.title,
            "indexer/<lru>: where a block's time goes: adaptive/hot-cold takes 57.0 µs a block, fresh/relink 110 µs, \
             33.0 µs of it more for faults: first touch"
        );
        let svg = figure.svg();
        for part in ["guest code", "zeroing and copying", "others", "has no profile", "controls"] {
            assert!(svg.contains(part), "{part}");
        }
        // A bar in each strategy that has the share, and the legend.
        let bars = |share| {
            let colour = stage(named.iter().position(|named| *named == share).expect("it is drawn")).hex();
            svg.matches(&format!("fill=\"{colour}\"")).count()
        };
        assert_eq!(
            (bars(Share::Guest), bars(Share::Copying), bars(Share::FirstTouch)),
            (3 + 1, 2 + 1, 1 + 1)
        );
        assert_eq!(figure.numbers.rows[0][..3], ["fresh/relink", "110 µs", "30.0 µs"]);
        assert!(super::figure(&groups[1], &named, &palette).is_none(), "only its pages are known");
    }
}
