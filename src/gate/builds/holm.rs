//! Many questions at one error rate: Holm's step-down procedure.
//!
//! The smallest of `m` probabilities is held against `rate / m`, the next against `rate / (m - 1)` and so on, until one
//! fails. Whatever depends on whatever, at most the share `rate` of all families in which nothing is so has an answer that
//! says it is (Holm: A simple sequentially rejective multiple test procedure, *Scandinavian Journal of Statistics* 6, 1979).

/// Which of the questions are answered with yes, given the probability of each answer where the truth is no.
pub fn rejected(probabilities: &[f64], rate: f64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b]));
    let mut rejected = vec![false; probabilities.len()];
    for (&index, left) in order.iter().zip((1..=order.len()).rev()) {
        rejected[index] = probabilities[index] <= rate / left as f64;
        if !rejected[index] {
            break;
        }
    }
    rejected
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_has_one_question_less() {
        // Thresholds of 0.01 / 4, / 3, / 2, / 1.
        assert_eq!(rejected(&[0.004, 0.002, 0.5, 0.003], 0.01), [true, true, false, true]);
        assert_eq!(rejected(&[0.0026, 0.003, 0.004, 0.009], 0.01), [false; 4], "the first one fails");
        assert_eq!(rejected(&[0.01], 0.01), [true]);
        assert_eq!(rejected(&[], 0.01), [false; 0]);
        assert_eq!(rejected(&[f64::NAN, 0.001], 0.01), [false, true]);
    }
}
