//! The caches of this machine.

use std::fs;
use std::sync::OnceLock;

/// Sizes in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Caches {
    /// What a core has to itself: its second level.
    pub(super) own: usize,
    /// The last level, which others share. None where it is not told.
    pub(super) last: Option<usize>,
}

impl Caches {
    /// What processors have had at least for long.
    const UNKNOWN: Self = Self { own: 512 << 10, last: None };

    /// As sysfs has them of the first processor.
    pub(super) fn here() -> Self {
        static HERE: OnceLock<Caches> = OnceLock::new();
        *HERE.get_or_init(|| {
            let read = |index, file| {
                fs::read_to_string(format!("/sys/devices/system/cpu/cpu0/cache/index{index}/{file}")).ok()
            };
            // What reading each of these files takes is a good part of what trying ways takes.
            let levels = (0..8).map_while(|index| Some((index, read(index, "level")?)));
            let beyond = levels.filter(|(_, level)| level.trim() != "1");
            Self::of(beyond.filter_map(|(index, level)| Some((level, read(index, "size")?))))
        })
    }

    /// What can be counted on of the last level, in bytes: a quarter, since others use it, too, and no more than two cores
    /// have of it. Servers have 1 to 5 MiB for each core (Intel Xeon, AMD EPYC), in one cache for up to a hundred of them, and a
    /// virtual machine is not told for how many: with 480 MiB said, 8 MiB of pages were mostly there, and 64 MiB were not
    /// (`docs/FLOORS.md`).
    pub(super) fn share(self) -> Option<usize> {
        self.last.map(|last| (last / 4).min(8 << 20))
    }

    /// From the level and the size of each, as the kernel writes them.
    fn of(caches: impl Iterator<Item = (String, String)>) -> Self {
        let mut found = Self::UNKNOWN;
        for (level, size) in caches {
            match (level.trim().parse::<u32>(), kibibytes(&size)) {
                (Ok(2), Some(bytes)) => found.own = bytes,
                (Ok(3..), Some(bytes)) => found.last = Some(bytes.max(found.last.unwrap_or(0))),
                _ => {}
            }
        }
        found
    }
}

/// Reads a size such as `32768K`.
fn kibibytes(size: &str) -> Option<usize> {
    let kibibytes: usize = size.trim_end().strip_suffix('K')?.parse().ok()?;
    kibibytes.checked_mul(1024).filter(|bytes| *bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_the_kernel_writes_them() {
        assert_eq!(kibibytes("32768K\n"), Some(32 << 20));
        assert_eq!(kibibytes("48K"), Some(48 << 10));
        for nothing in ["", "32M", "0K", "99999999999999999999K"] {
            assert_eq!(kibibytes(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn a_large_cache_is_not_taken_for_one_s_own() {
        let share = |last| Caches { own: 1 << 20, last }.share();
        assert_eq!(share(None), None);
        assert_eq!([16, 32, 480].map(|mib| share(Some(mib << 20))), [4, 8, 8].map(|mib| Some(mib << 20)));
    }

    #[test]
    fn the_second_level_is_a_core_s_own_and_the_last_is_shared() {
        let of = |caches: &[(&str, &str)]| {
            Caches::of(caches.iter().map(|(level, size)| (format!("{level}\n"), format!("{size}\n"))))
        };
        let epyc = [("1", "32K"), ("1", "32K"), ("2", "1024K"), ("3", "32768K")];
        assert_eq!(of(&epyc), Caches { own: 1 << 20, last: Some(32 << 20) });
        assert_eq!(of(&[("1", "64K"), ("2", "2048K")]), Caches { own: 2 << 20, last: None });
        assert_eq!(of(&[]), Caches::UNKNOWN);
    }
}
