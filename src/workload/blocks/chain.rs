//! Puts the blocks of `blk*.dat` files in order: by following each block's parent, not by where it lies.
//!
//! Blocks whose parents are known form trees. Of each tree the branch with the most work is kept, as nodes
//! do, and the rest is stale. Several trees arise where files are missing between others; a tree joins the
//! trace when its heights are stated in its coinbases (BIP 34) and are not taken already by a tree with more
//! work.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;

use super::record::Record;
use super::trace::Known;
use crate::units::several;

/// Which records to use, as indices.
#[derive(Debug)]
pub(super) struct Ordered {
    /// With their heights, which ascend.
    pub(super) picks: Vec<(u32, usize)>,
    /// Where the heights come from.
    pub(super) known: Known,
    /// What was left out and why, as sentences.
    pub(super) notes: Vec<String>,
    /// The first record for which no height is left below 2^32.
    pub(super) beyond: Option<usize>,
}

/// Who put the records together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A node: blocks that fit nowhere are left out.
    Node,
    /// The user: where blocks fit nowhere, the order of the files is meant.
    User,
}

/// The best branch of a tree.
struct Branch {
    /// From the root on, as indices into the records.
    members: Vec<usize>,
    work: f64,
    /// The height of the root, as most of the coinbases state it.
    stated: Option<u32>,
}

impl Branch {
    fn heights(&self, root: u32) -> Range<u64> {
        u64::from(root)..u64::from(root) + self.members.len() as u64
    }
}

/// Orders `records` by their parents, and gives them the heights that coinbases state. With `start`, the trace begins at
/// the block that has that height; where none has, the first block is given it on purpose. Where no block states a height,
/// they are counted from `start`, or from 0.
pub(super) fn order(records: &[Record], start: Option<u32>, origin: Origin) -> Ordered {
    let Branches { mut best, duplicates } = branches(records);
    let mut notes = Vec::new();
    let stale = records.len() - duplicates - best.iter().map(|branch| branch.members.len()).sum::<usize>();
    if stale > 0 {
        notes.push(format!(
            "{} left out: not on the branch with the most work",
            several(stale, "stale block")
        ));
    }
    // A node stores some blocks again when it is restarted; a user may not know of it.
    if duplicates > 0 && origin == Origin::User {
        notes.push(format!("{} left out: there already", several(duplicates, "block")));
    }
    // Stable, so that of equals the one that lies first on disk wins.
    best.sort_by(|a, b| b.work.partial_cmp(&a.work).unwrap_or(Ordering::Equal));
    let (mut kept, apart, pieces) = pieces(best, start);
    if apart > 0 && origin == Origin::User {
        return in_order_of_files(records, start);
    }
    if apart > 0 {
        notes.push(format!(
            "{} in {} left out: they connect to no other block and their heights are unknown or taken; add \
             the neighbouring blk*.dat files to have them",
            several(apart, "block"),
            several(pieces, "piece")
        ));
    }
    kept.sort_by_key(|(root, _)| *root);
    for pair in kept.windows(2) {
        let (end, next) = (pair[0].1.heights(pair[0].0).end, u64::from(pair[1].0));
        if end < next {
            notes.push(format!("no file holds the blocks of heights {end} to {}", next - 1));
        }
    }
    let (known, shift) = shift(&kept, start, &mut notes);
    let mut ordered = Ordered { picks: Vec::new(), known, notes, beyond: None };
    let heights = kept.iter().flat_map(|(root, branch)| branch.heights(*root).zip(&branch.members));
    let from = start.filter(|_| shift == 0).map_or(0, u64::from);
    for (height, &member) in heights.filter(|(height, _)| *height >= from) {
        match u32::try_from(height as i64 + shift) {
            Ok(height) => ordered.picks.push((height, member)),
            Err(_) => {
                ordered.beyond.get_or_insert(member);
            }
        }
    }
    ordered
}

/// The pieces that have a place in the trace, with the heights of their roots; and how many blocks in how many pieces have
/// none.
fn pieces(best: Vec<Branch>, start: Option<u32>) -> (Vec<(u32, Branch)>, usize, usize) {
    let mut kept: Vec<(u32, Branch)> = Vec::new();
    let (mut apart, mut pieces) = (0, 0);
    for branch in best {
        let root = match (branch.stated, kept.is_empty()) {
            (stated, true) => Some(stated.or(start).unwrap_or(0)),
            (stated, false) => stated.filter(|&root| {
                let heights = branch.heights(root);
                kept.iter().all(|(other, one)| {
                    let taken = one.heights(*other);
                    one.stated.is_some() && (heights.end <= taken.start || taken.end <= heights.start)
                })
            }),
        };
        match root {
            Some(root) => kept.push((root, branch)),
            None => (apart, pieces) = (apart + branch.members.len(), pieces + 1),
        }
    }
    (kept, apart, pieces)
}

/// How the heights of `kept` are known, and what has to be added to them for the trace to begin at `start`.
fn shift(kept: &[(u32, Branch)], start: Option<u32>, notes: &mut Vec<String>) -> (Known, i64) {
    let Some((first, _)) = kept.first() else { return (Known::Counted, 0) };
    let stated = kept.iter().all(|(_, branch)| branch.stated.is_some());
    match (start, stated) {
        (None, true) => (Known::Stated, 0),
        (None, false) => (Known::Counted, 0),
        (Some(_), false) => (Known::Given, 0),
        (Some(start), true) => {
            let height = u64::from(start);
            if kept.iter().any(|(root, branch)| branch.heights(*root).contains(&height)) {
                let below = kept.iter().flat_map(|(root, branch)| branch.heights(*root));
                let below = below.filter(|other| *other < height).count();
                if below > 0 {
                    notes.push(format!("{} below height {start} left out", several(below, "block")));
                }
                return (Known::Stated, 0);
            }
            notes.push(format!(
                "heights begin at {start}, as --start-height says, though coinbases state {first} (BIP 34): on purpose?"
            ));
            (Known::Given, i64::from(start) - i64::from(*first))
        }
    }
}

/// All records as they lie, with heights counted from `start`, or from what the first states, or from 0.
fn in_order_of_files(records: &[Record], start: Option<u32>) -> Ordered {
    let stated = records.first().and_then(|record| record.stated);
    let first = start.or(stated).unwrap_or(0);
    let known = if start.is_some() { Known::Given } else { Known::Counted };
    let notes = vec![
        "the blocks do not make a chain, or state heights that are missing or taken: they are left in the order of the files"
            .to_owned(),
    ];
    let mut heights = first..=u32::MAX;
    let picks: Vec<_> = heights.by_ref().zip(0..records.len()).collect();
    let beyond = (picks.len() < records.len()).then_some(picks.len());
    Ordered { picks, known, notes, beyond }
}

struct Branches {
    best: Vec<Branch>,
    /// Records of blocks that lie on disk more than once.
    duplicates: usize,
}

/// The best branch of each tree, in the order in which the roots lie on disk.
fn branches(records: &[Record]) -> Branches {
    let mut first = HashMap::with_capacity(records.len());
    let mut duplicates = 0;
    for (i, record) in records.iter().enumerate() {
        match first.entry(record.hash) {
            Entry::Vacant(entry) => {
                entry.insert(i);
            }
            // A restarted node stores some blocks again.
            Entry::Occupied(_) => duplicates += 1,
        }
    }
    let is_first = |i: &usize| first.get(&records[*i].hash) == Some(i);
    let mut children: HashMap<usize, Vec<usize>> = HashMap::new();
    let mut roots = Vec::new();
    for i in (0..records.len()).filter(is_first) {
        match first.get(&records[i].parent) {
            Some(&parent) => children.entry(parent).or_default().push(i),
            None => roots.push(i),
        }
    }
    let best = roots.into_iter().map(|root| best_branch(records, &children, root)).collect();
    Branches { best, duplicates }
}

/// Follows all branches from `root` (in a loop: chains are too long for recursion) and returns the one with
/// the most work; of equals, the one whose tip lies first on disk.
fn best_branch(records: &[Record], children: &HashMap<usize, Vec<usize>>, root: usize) -> Branch {
    let mut came_from = HashMap::new();
    let mut open = vec![(root, records[root].work)];
    let mut tip = (root, records[root].work);
    while let Some((block, work)) = open.pop() {
        if work > tip.1 || (work >= tip.1 && block < tip.0) {
            tip = (block, work);
        }
        for &child in children.get(&block).into_iter().flatten() {
            came_from.insert(child, block);
            open.push((child, work + records[child].work));
        }
    }
    let mut members = vec![tip.0];
    while let Some(&parent) = members.last().and_then(|block| came_from.get(block)) {
        members.push(parent);
    }
    members.reverse();
    let stated = root_height(records, &members);
    Branch { members, work: tip.1, stated }
}

/// The root's height that the most coinbases of the branch agree on; of equals, the lowest. A few early
/// blocks of version 2 state nonsense.
fn root_height(records: &[Record], members: &[usize]) -> Option<u32> {
    let mut votes: HashMap<u32, usize> = HashMap::new();
    for (depth, &member) in members.iter().enumerate() {
        let stated = records[member].stated.map(u64::from);
        let root = stated
            .and_then(|stated| stated.checked_sub(depth as u64))
            .and_then(|root| u32::try_from(root).ok());
        if let Some(root) = root {
            *votes.entry(root).or_default() += 1;
        }
    }
    votes.into_iter().max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(&a.0))).map(|(root, _)| root)
}

#[cfg(test)]
mod tests {
    use bitcoin::BlockHash;
    use bitcoin::hashes::Hash;

    use super::*;

    fn node(records: &[Record], start: u32) -> Ordered {
        order(records, Some(start), Origin::Node)
    }

    fn hash(name: u8) -> BlockHash {
        BlockHash::from_byte_array([name; 32])
    }

    /// A block by the names of itself and its parent.
    fn record(name: u8, parent: u8, work: f64, stated: Option<u32>) -> Record {
        Record {
            source: 0,
            offset: u64::from(name),
            bytes: 81,
            hash: hash(name),
            parent: hash(parent),
            work,
            stated,
        }
    }

    /// The names and heights of what `order` picks.
    fn picked(ordered: &Ordered, records: &[Record]) -> Vec<(u32, u64)> {
        ordered.picks.iter().map(|&(height, i)| (height, records[i].offset)).collect()
    }

    #[test]
    fn nothing_of_nothing() {
        let ordered = node(&[], 0);
        assert!(ordered.picks.is_empty() && ordered.notes.is_empty());
    }

    #[test]
    fn follows_parents_and_not_places() {
        let records = [record(3, 2, 1.0, None), record(1, 0, 1.0, None), record(2, 1, 1.0, None)];
        let ordered = node(&records, 5);
        assert_eq!(picked(&ordered, &records), [(5, 1), (6, 2), (7, 3)]);
        assert_eq!(ordered.notes, Vec::<String>::new());
    }

    #[test]
    fn more_work_beats_more_blocks() {
        let records = [
            record(1, 0, 1.0, None),
            record(2, 1, 1.0, None),
            record(3, 2, 1.0, None),
            record(4, 1, 2.5, None),
        ];
        let ordered = node(&records, 0);
        assert_eq!(picked(&ordered, &records), [(0, 1), (1, 4)]);
        assert_eq!(ordered.notes, ["2 stale blocks left out: not on the branch with the most work"]);
    }

    #[test]
    fn of_equal_branches_the_one_seen_first_wins() {
        for (one, two) in [(2, 3), (3, 2)] {
            let records = [record(1, 0, 1.0, None), record(one, 1, 1.0, None), record(two, 1, 1.0, None)];
            assert_eq!(picked(&node(&records, 0), &records), [(0, 1), (1, u64::from(one))]);
        }
    }

    #[test]
    fn most_coinbases_decide_the_height() {
        // The second states nonsense, and so does the third: below its own depth.
        let stated = [Some(10), Some(4_000_000), Some(0), Some(13), None];
        let records: Vec<Record> =
            (1..).zip(stated).map(|(name, stated)| record(name, name - 1, 1.0, stated)).collect();
        assert_eq!(picked(&node(&records, 10), &records), [(10, 1), (11, 2), (12, 3), (13, 4), (14, 5)]);
    }

    #[test]
    fn a_piece_whose_heights_are_unknown_or_taken_is_left_out() {
        let main = [record(1, 0, 1.0, Some(10)), record(2, 1, 1.0, Some(11))];
        for stray in [record(9, 8, 1.0, None), record(9, 8, 1.0, Some(11))] {
            let records = [&main[..], &[stray]].concat();
            let ordered = node(&records, 10);
            assert_eq!(picked(&ordered, &records), [(10, 1), (11, 2)]);
            assert!(ordered.notes[0].starts_with("1 block in 1 piece left out: "), "{:?}", ordered.notes);
        }
        // Without stated heights, where the first piece lies is unknown.
        let records = [record(1, 0, 1.0, None), record(2, 1, 1.0, None), record(9, 8, 1.0, Some(50))];
        assert_eq!(picked(&node(&records, 10), &records), [(10, 1), (11, 2)]);
    }

    #[test]
    fn a_piece_in_another_place_joins() {
        let records = [record(1, 0, 1.0, Some(10)), record(2, 1, 1.0, Some(11)), record(9, 8, 1.0, Some(8))];
        let ordered = order(&records, None, Origin::Node);
        assert_eq!(picked(&ordered, &records), [(8, 9), (10, 1), (11, 2)]);
        assert_eq!(ordered.notes, ["no file holds the blocks of heights 9 to 9"]);
    }

    #[test]
    fn pieces_may_touch() {
        for beside in [9, 12] {
            let stray = record(9, 8, 1.0, Some(beside));
            let records = [record(1, 0, 1.0, Some(10)), record(2, 1, 1.0, Some(11)), stray];
            let ordered = order(&records, None, Origin::Node);
            assert_eq!((ordered.picks.len(), ordered.notes.len()), (3, 0), "{beside}: {:?}", ordered.notes);
        }
    }

    #[test]
    fn of_heights_with_as_many_votes_the_lowest_wins() {
        let records = [record(1, 0, 1.0, Some(70)), record(2, 1, 1.0, Some(51))];
        assert_eq!(picked(&node(&records, 50), &records), [(50, 1), (51, 2)]);
    }

    #[test]
    fn heights_end_at_the_largest() {
        let records = [record(1, 0, 1.0, None), record(2, 1, 1.0, None)];
        let ordered = node(&records, u32::MAX);
        assert_eq!((picked(&ordered, &records), ordered.beyond), (vec![(u32::MAX, 1)], Some(1)));
    }

    #[test]
    fn the_trace_begins_at_the_height_asked_for_or_is_given_it() {
        let records = [record(2, 1, 1.0, Some(11)), record(1, 0, 1.0, Some(10)), record(3, 2, 1.0, Some(12))];
        let ordered = |start| order(&records, start, Origin::User);
        assert_eq!(picked(&ordered(None), &records), [(10, 1), (11, 2), (12, 3)]);
        assert_eq!((ordered(None).known, ordered(None).notes.len()), (Known::Stated, 0));
        assert_eq!(picked(&ordered(Some(11)), &records), [(11, 2), (12, 3)]);
        assert_eq!((ordered(Some(11)).known, ordered(Some(10)).notes.len()), (Known::Stated, 0));
        assert_eq!(ordered(Some(12)).notes, ["2 blocks below height 12 left out"]);
        for start in [0, 9, 13] {
            let ordered = ordered(Some(start));
            assert_eq!(picked(&ordered, &records), [(start, 1), (start + 1, 2), (start + 2, 3)]);
            assert_eq!(ordered.known, Known::Given);
            assert!(ordered.notes[0].contains("though coinbases state 10"), "{:?}", ordered.notes);
        }
        let last = ordered(Some(u32::MAX));
        assert_eq!((picked(&last, &records), last.beyond), (vec![(u32::MAX, 1)], Some(0)));
    }

    #[test]
    fn blocks_of_a_user_that_fit_nowhere_stay_in_the_order_of_the_files() {
        // No height, no link; and the same height twice.
        for records in [
            [record(3, 9, 1.0, None), record(1, 9, 1.0, None)],
            [record(3, 8, 1.0, Some(7)), record(1, 9, 1.0, Some(7))],
        ] {
            let first = records[0].stated.unwrap_or(0);
            let ordered = order(&records, None, Origin::User);
            assert_eq!(picked(&ordered, &records), [(first, 3), (first + 1, 1)]);
            assert_eq!((ordered.known, ordered.notes.len()), (Known::Counted, 1));
            let ordered = order(&records, Some(u32::MAX), Origin::User);
            assert_eq!((picked(&ordered, &records), ordered.beyond), (vec![(u32::MAX, 3)], Some(1)));
            assert_eq!(order(&records, None, Origin::Node).picks.len(), 1);
        }
    }

    #[test]
    fn a_user_is_told_of_a_block_that_is_there_twice() {
        let records = [record(1, 0, 1.0, Some(7)), record(1, 0, 1.0, Some(7))];
        assert_eq!(order(&records, None, Origin::User).notes, ["1 block left out: there already"]);
        assert_eq!(order(&records, None, Origin::Node).notes, Vec::<String>::new());
    }

    #[test]
    fn a_long_chain_is_no_deep_recursion() {
        let name = |n: u32| BlockHash::from_byte_array(std::array::from_fn(|i| n.to_le_bytes()[i % 4]));
        let block = |n: u32| Record { hash: name(n), parent: name(n - 1), ..record(0, 0, 1.0, None) };
        let records: Vec<Record> = (1..=200_000).rev().map(block).collect();
        let ordered = node(&records, 0);
        assert_eq!(ordered.picks.len(), 200_000);
        assert_eq!(ordered.picks[0], (0, 199_999));
    }

    #[test]
    fn a_block_that_is_its_own_parent_is_no_endless_loop() {
        assert!(node(&[record(1, 1, 1.0, None)], 0).picks.is_empty());
    }
}
