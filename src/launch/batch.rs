//! Contenders that do not fit into memory together run in several batches, each with the yardsticks along.

/// Splits contenders, given by the most memory that each needs, so that no batch needs more than `room` bytes.
///
/// Every batch begins with the yardsticks, since a sample is compared within its round only. A contender that is too
/// large for any room still gets a batch: it may be killed, which is a result.
pub fn batches(needs: &[u64], is_yardstick: impl Fn(usize) -> bool, room: u64) -> Vec<Vec<usize>> {
    let (yardsticks, others): (Vec<_>, Vec<_>) = (0..needs.len()).partition(|&index| is_yardstick(index));
    let fixed: u64 = yardsticks.iter().map(|&index| needs[index]).sum();
    let mut batches = vec![yardsticks.clone()];
    let mut used = fixed;
    for index in others {
        let last = batches.last_mut().expect("there is always a batch");
        if last.len() > yardsticks.len() && used + needs[index] > room {
            batches.push([&yardsticks[..], &[index]].concat());
            used = fixed + needs[index];
        } else {
            last.push(index);
            used += needs[index];
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(needs: &[u64], room: u64) -> Vec<Vec<usize>> {
        batches(needs, |index| index < 2, room)
    }

    #[test]
    fn all_run_at_once_where_they_fit() {
        assert_eq!(split(&[1, 1, 5, 5], 12), [[0, 1, 2, 3]]);
        assert_eq!(split(&[1, 1], 0), [[0, 1]]);
    }

    #[test]
    fn every_batch_has_the_yardsticks_and_every_contender_a_batch() {
        assert_eq!(split(&[1, 1, 5, 5, 5], 12), vec![vec![0, 1, 2, 3], vec![0, 1, 4]]);
        assert_eq!(split(&[1, 1, 50, 5, 50], 12), [[0, 1, 2], [0, 1, 3], [0, 1, 4]]);
    }
}
