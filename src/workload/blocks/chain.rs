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

use super::blk::Record;

/// Which records to use, as indices.
#[derive(Debug, Default)]
pub(super) struct Ordered {
    /// With their heights, which ascend.
    pub(super) picks: Vec<(u32, usize)>,
    /// What was left out and why, as sentences.
    pub(super) notes: Vec<String>,
    /// The first record for which no height is left below 2^32.
    pub(super) beyond: Option<usize>,
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

/// Orders `records`. The tree with the most work begins at `start_height`, unless its coinbases state another
/// height.
pub(super) fn order(records: &[Record], start_height: u32) -> Ordered {
    let mut branches = branches(records);
    let mut notes = Vec::new();
    let stale =
        records.len() - branches.duplicates - branches.best.iter().map(|b| b.members.len()).sum::<usize>();
    if stale > 0 {
        notes.push(format!(
            "{} left out: not on the branch with the most work",
            several(stale, "stale block")
        ));
    }
    // Stable, so that of equals the one that lies first on disk wins.
    branches.best.sort_by(|a, b| b.work.partial_cmp(&a.work).unwrap_or(Ordering::Equal));
    let mut kept: Vec<(u32, Branch)> = Vec::new();
    let (mut apart, mut pieces) = (0, 0);
    for branch in branches.best {
        let root = match (branch.stated, kept.is_empty()) {
            (Some(stated), true) => {
                if stated != start_height {
                    notes.push(format!(
                        "heights begin at {stated}, as the coinbases state (BIP 34), not at {start_height}"
                    ));
                }
                Some(stated)
            }
            (None, true) => Some(start_height),
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
    let mut ordered = Ordered { notes, ..Ordered::default() };
    for (root, branch) in kept {
        for (height, member) in branch.heights(root).zip(branch.members) {
            if let Ok(height) = u32::try_from(height) {
                ordered.picks.push((height, member));
            } else {
                ordered.beyond.get_or_insert(member);
            }
        }
    }
    ordered
}

fn several(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
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
        let ordered = order(&[], 0);
        assert!(ordered.picks.is_empty() && ordered.notes.is_empty());
    }

    #[test]
    fn follows_parents_and_not_places() {
        let records = [record(3, 2, 1.0, None), record(1, 0, 1.0, None), record(2, 1, 1.0, None)];
        let ordered = order(&records, 5);
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
        let ordered = order(&records, 0);
        assert_eq!(picked(&ordered, &records), [(0, 1), (1, 4)]);
        assert_eq!(ordered.notes, ["2 stale blocks left out: not on the branch with the most work"]);
    }

    #[test]
    fn of_equal_branches_the_one_seen_first_wins() {
        for (one, two) in [(2, 3), (3, 2)] {
            let records = [record(1, 0, 1.0, None), record(one, 1, 1.0, None), record(two, 1, 1.0, None)];
            assert_eq!(picked(&order(&records, 0), &records), [(0, 1), (1, u64::from(one))]);
        }
    }

    #[test]
    fn most_coinbases_decide_the_height() {
        // The second states nonsense, and so does the third: below its own depth.
        let stated = [Some(10), Some(4_000_000), Some(0), Some(13), None];
        let records: Vec<Record> =
            (1..).zip(stated).map(|(name, stated)| record(name, name - 1, 1.0, stated)).collect();
        assert_eq!(picked(&order(&records, 10), &records), [(10, 1), (11, 2), (12, 3), (13, 4), (14, 5)]);
    }

    #[test]
    fn a_piece_whose_heights_are_unknown_or_taken_is_left_out() {
        let main = [record(1, 0, 1.0, Some(10)), record(2, 1, 1.0, Some(11))];
        for stray in [record(9, 8, 1.0, None), record(9, 8, 1.0, Some(11))] {
            let records = [&main[..], &[stray]].concat();
            let ordered = order(&records, 10);
            assert_eq!(picked(&ordered, &records), [(10, 1), (11, 2)]);
            assert!(ordered.notes[0].starts_with("1 block in 1 piece left out: "), "{:?}", ordered.notes);
        }
        // Without stated heights, where the first piece lies is unknown.
        let records = [record(1, 0, 1.0, None), record(2, 1, 1.0, None), record(9, 8, 1.0, Some(50))];
        assert_eq!(picked(&order(&records, 10), &records), [(10, 1), (11, 2)]);
    }

    #[test]
    fn a_piece_in_another_place_joins() {
        let records = [record(1, 0, 1.0, Some(10)), record(2, 1, 1.0, Some(11)), record(9, 8, 1.0, Some(8))];
        let ordered = order(&records, 10);
        assert_eq!(picked(&ordered, &records), [(8, 9), (10, 1), (11, 2)]);
        assert_eq!(ordered.notes, ["no file holds the blocks of heights 9 to 9"]);
    }

    #[test]
    fn pieces_may_touch() {
        for beside in [9, 12] {
            let stray = record(9, 8, 1.0, Some(beside));
            let records = [record(1, 0, 1.0, Some(10)), record(2, 1, 1.0, Some(11)), stray];
            let ordered = order(&records, 10);
            assert_eq!((ordered.picks.len(), ordered.notes.len()), (3, 0), "{beside}: {:?}", ordered.notes);
        }
    }

    #[test]
    fn of_heights_with_as_many_votes_the_lowest_wins() {
        let records = [record(1, 0, 1.0, Some(70)), record(2, 1, 1.0, Some(51))];
        assert_eq!(picked(&order(&records, 50), &records), [(50, 1), (51, 2)]);
    }

    #[test]
    fn heights_end_at_the_largest() {
        let records = [record(1, 0, 1.0, None), record(2, 1, 1.0, None)];
        let ordered = order(&records, u32::MAX);
        assert_eq!((picked(&ordered, &records), ordered.beyond), (vec![(u32::MAX, 1)], Some(1)));
    }

    #[test]
    fn a_long_chain_is_no_deep_recursion() {
        let name = |n: u32| BlockHash::from_byte_array(std::array::from_fn(|i| n.to_le_bytes()[i % 4]));
        let block = |n: u32| Record { hash: name(n), parent: name(n - 1), ..record(0, 0, 1.0, None) };
        let records: Vec<Record> = (1..=200_000).rev().map(block).collect();
        let ordered = order(&records, 0);
        assert_eq!(ordered.picks.len(), 200_000);
        assert_eq!(ordered.picks[0], (0, 199_999));
    }

    #[test]
    fn a_block_that_is_its_own_parent_is_no_endless_loop() {
        assert!(order(&[record(1, 1, 1.0, None)], 0).picks.is_empty());
    }
}
