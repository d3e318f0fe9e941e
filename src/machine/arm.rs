//! Names of ARM cores: `/proc/cpuinfo` has the implementer and the part number of the Main ID Register (MIDR_EL1) only.
//!
//! Sources: the vendors' manuals, as collected in `arch/arm64/include/asm/cputype.h` of Linux and in `lscpu-arm.c` of
//! util-linux. Which product a core was built into (AWS Graviton, Google Axion, Ampere Altra) is not in the register.

/// The core of an implementer and a part, as `/proc/cpuinfo` writes them; `None` for others: then the numbers stand for
/// themselves.
pub(super) fn core(implementer: &str, part: &str) -> Option<&'static str> {
    let number = |text: &str| u32::from_str_radix(text.trim_start_matches("0x"), 16).ok();
    let (implementer, part) = (number(implementer)?, number(part)?);
    let found = CORES.iter().find(|(by, number, _)| (*by, *number) == (implementer, part));
    found.map(|(_, _, name)| *name)
}

/// Implementer, part, name.
const CORES: &[(u32, u32, &str)] = &[
    // What QEMU emulates as `-cpu max`, from the range that is reserved for software.
    (0x00, 0x051, "QEMU max"),
    (0x41, 0xd02, "ARM Cortex-A34"),
    (0x41, 0xd03, "ARM Cortex-A53"),
    (0x41, 0xd04, "ARM Cortex-A35"),
    (0x41, 0xd05, "ARM Cortex-A55"),
    (0x41, 0xd06, "ARM Cortex-A65"),
    (0x41, 0xd07, "ARM Cortex-A57"),
    (0x41, 0xd08, "ARM Cortex-A72"),
    (0x41, 0xd09, "ARM Cortex-A73"),
    (0x41, 0xd0a, "ARM Cortex-A75"),
    (0x41, 0xd0b, "ARM Cortex-A76"),
    // Graviton2, Ampere Altra, Azure's and Google's first.
    (0x41, 0xd0c, "ARM Neoverse-N1"),
    (0x41, 0xd0d, "ARM Cortex-A77"),
    (0x41, 0xd0e, "ARM Cortex-A76AE"),
    // Graviton3.
    (0x41, 0xd40, "ARM Neoverse-V1"),
    (0x41, 0xd41, "ARM Cortex-A78"),
    (0x41, 0xd42, "ARM Cortex-A78AE"),
    (0x41, 0xd43, "ARM Cortex-A65AE"),
    (0x41, 0xd44, "ARM Cortex-X1"),
    (0x41, 0xd46, "ARM Cortex-A510"),
    (0x41, 0xd47, "ARM Cortex-A710"),
    (0x41, 0xd48, "ARM Cortex-X2"),
    (0x41, 0xd49, "ARM Neoverse-N2"),
    (0x41, 0xd4a, "ARM Neoverse-E1"),
    (0x41, 0xd4b, "ARM Cortex-A78C"),
    (0x41, 0xd4c, "ARM Cortex-X1C"),
    (0x41, 0xd4d, "ARM Cortex-A715"),
    (0x41, 0xd4e, "ARM Cortex-X3"),
    // Graviton4, Google Axion, NVIDIA Grace.
    (0x41, 0xd4f, "ARM Neoverse-V2"),
    (0x41, 0xd80, "ARM Cortex-A520"),
    (0x41, 0xd81, "ARM Cortex-A720"),
    (0x41, 0xd82, "ARM Cortex-X4"),
    (0x41, 0xd83, "ARM Neoverse-V3AE"),
    (0x41, 0xd84, "ARM Neoverse-V3"),
    (0x41, 0xd85, "ARM Cortex-X925"),
    (0x41, 0xd87, "ARM Cortex-A725"),
    (0x41, 0xd8e, "ARM Neoverse-N3"),
    (0x42, 0x516, "Broadcom ThunderX2"),
    (0x43, 0x0a1, "Cavium ThunderX"),
    (0x43, 0x0af, "Cavium ThunderX2"),
    (0x43, 0x0b8, "Marvell ThunderX3"),
    (0x46, 0x001, "Fujitsu A64FX"),
    (0x48, 0xd01, "HiSilicon TSV110"),
    (0x48, 0xd02, "HiSilicon HIP09"),
    (0x4e, 0x003, "NVIDIA Denver 2"),
    (0x4e, 0x004, "NVIDIA Carmel"),
    (0x50, 0x000, "APM X-Gene"),
    (0x51, 0x001, "Qualcomm Oryon"),
    (0x51, 0x802, "Qualcomm Kryo 3XX Gold"),
    (0x51, 0x803, "Qualcomm Kryo 3XX Silver"),
    (0x51, 0xc00, "Qualcomm Falkor"),
    (0x51, 0xc01, "Qualcomm Saphira"),
    (0x61, 0x022, "Apple M1 Icestorm"),
    (0x61, 0x023, "Apple M1 Firestorm"),
    (0x61, 0x024, "Apple M1 Pro Icestorm"),
    (0x61, 0x025, "Apple M1 Pro Firestorm"),
    (0x61, 0x028, "Apple M1 Max Icestorm"),
    (0x61, 0x029, "Apple M1 Max Firestorm"),
    (0x61, 0x032, "Apple M2 Blizzard"),
    (0x61, 0x033, "Apple M2 Avalanche"),
    (0x61, 0x034, "Apple M2 Pro Blizzard"),
    (0x61, 0x035, "Apple M2 Pro Avalanche"),
    (0x61, 0x038, "Apple M2 Max Blizzard"),
    (0x61, 0x039, "Apple M2 Max Avalanche"),
    (0x6d, 0xd49, "Microsoft Azure Cobalt 100"),
    (0x70, 0x662, "Phytium FTC662"),
    (0x70, 0x663, "Phytium FTC663"),
    (0x70, 0x664, "Phytium FTC664"),
    (0xc0, 0xac3, "Ampere-1"),
    (0xc0, 0xac4, "Ampere-1a"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_named_by_two_numbers() {
        for (implementer, part, name) in [
            ("0x41", "0xd0c", Some("ARM Neoverse-N1")),
            ("0x41", "0xd4f", Some("ARM Neoverse-V2")),
            ("0x41", "0xd0b", Some("ARM Cortex-A76")),
            ("0x61", "0x023", Some("Apple M1 Firestorm")),
            ("0xc0", "0xac3", Some("Ampere-1")),
            ("0x00", "0x051", Some("QEMU max")),
            ("0x41", "0xfff", None),
            ("0x6d", "0xd49", Some("Microsoft Azure Cobalt 100")),
            ("", "0xd0c", None),
            ("0x41", "many", None),
        ] {
            assert_eq!(core(implementer, part), name, "{implementer} {part}");
        }
    }

    #[test]
    fn each_core_is_named_once_and_in_order() {
        assert!(CORES.is_sorted_by(|a, b| (a.0, a.1) < (b.0, b.1)));
    }
}
