//! Interrupts between CPUs, from `/proc/interrupts`: what taking memory away costs the *other* cores.
//!
//! A mapping that is removed or protected must leave every CPU's TLB, which on x86-64 is an interrupt counted in the row
//! `TLB`; other work for other CPUs is in the row `CAL`. On aarch64 the hardware broadcasts TLB invalidations, and the row
//! of function calls is one of the `IPI` rows; hence rows are told by their description. The file needs no privileges and
//! counts the whole machine.

use std::fs;

/// Interrupts since the machine started, over all CPUs; absent where the kernel prints no such row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interrupts {
    pub tlb_shootdowns: Option<u64>,
    pub function_calls: Option<u64>,
}

impl Interrupts {
    /// The present counts; `None` where the file cannot be read, as in some containers.
    pub fn now() -> Option<Self> {
        fs::read_to_string("/proc/interrupts").ok().map(|text| Self::parse(&text))
    }

    fn parse(text: &str) -> Self {
        let row = |description: &str| {
            text.lines().find_map(|line| sum(line.trim_end().strip_suffix(description)?))
        };
        Self { tlb_shootdowns: row("TLB shootdowns"), function_calls: row("Function call interrupts") }
    }
}

/// Adds up the columns of a row, one per CPU, behind its name.
fn sum(row: &str) -> Option<u64> {
    let (_, columns) = row.split_once(':')?;
    columns.split_whitespace().map_while(|column| column.parse::<u64>().ok()).reduce(|sum, n| sum + n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_added_up_on_x86() {
        let text = "            CPU0       CPU1       \n  1:          9          0   IO-APIC   1-edge      i8042\n\
            RES:     417711     454466   Rescheduling interrupts\n\
            CAL:     207113     218203   Function call interrupts\n TLB:      10310      11201   TLB shootdowns\n";
        let expected = Interrupts { tlb_shootdowns: Some(21_511), function_calls: Some(425_316) };
        assert_eq!(Interrupts::parse(text), expected);
    }

    #[test]
    fn aarch64_names_them_otherwise_and_has_no_shootdowns() {
        let text = "           CPU0       CPU1\nIPI0:       10         20       Rescheduling interrupts\n\
            IPI1:      300         4       Function call interrupts\n";
        assert_eq!(Interrupts::parse(text), Interrupts { tlb_shootdowns: None, function_calls: Some(304) });
    }

    #[test]
    fn odd_text_counts_nothing() {
        for text in ["", "TLB", "TLB: TLB shootdowns", "x TLB shootdowns"] {
            assert_eq!(Interrupts::parse(text), Interrupts::default(), "{text}");
        }
    }
}
