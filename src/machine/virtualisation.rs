//! Whether a hypervisor stands between this kernel and the hardware, and whether it takes free memory back.
//!
//! Sources: the `hypervisor` flag of `/proc/cpuinfo` (x86 only), DMI strings in `/sys/class/dmi/id`,
//! `/sys/hypervisor/type` (Xen), the device tree (ARM; its `hypervisor` node, and `linux,dummy-virt`, by which QEMU,
//! Firecracker, crosvm and others call the machine that they make up), and the features negotiated by a
//! virtio balloon (virtio 1.2, 5.5.3: bit 5 is free page reporting).
//!
//! Free page reporting matters to anyone who times page faults: pages that the guest freed go back to the
//! host, so that memory which was warm is cold again at the next fault.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::source::{Facts, Files, line};

/// Hints of a virtual machine.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Virtualisation {
    /// Whether there are signs of a hypervisor; absent when neither flag nor firmware tells.
    pub hypervisor: Option<bool>,
    /// Maker of the machine according to its firmware, such as `QEMU` or `Amazon EC2`.
    pub vendor: Option<String>,
    /// Name of the machine according to its firmware, such as `m7i.metal-24xl`.
    pub product: Option<String>,
    /// Whether freed pages are reported to the host. `false` when there is a balloon that does not; absent
    /// when there is no balloon to tell.
    pub free_page_reporting: Option<bool>,
}

impl Virtualisation {
    /// `flag` is what the CPU itself says.
    pub(crate) fn read(facts: &mut Facts, flag: Option<bool>) -> Self {
        let vendor = facts.read("virtualisation.vendor", "/sys/class/dmi/id/sys_vendor", line);
        let product = facts
            .read("virtualisation.product", "/sys/class/dmi/id/product_name", line)
            .or_else(|| tree(facts.files, "model").into_iter().next());
        if product.is_some() {
            facts.absent.remove("virtualisation.product");
        }
        let hypervisor = flag.or_else(|| hypervisor(facts.files, vendor.as_deref(), product.as_deref()));
        if hypervisor.is_none() {
            facts.miss("virtualisation.hypervisor", "neither the CPU's flags nor the firmware tell");
        }
        let free_page_reporting = free_page_reporting(facts.files);
        if free_page_reporting.is_none() {
            facts.miss("virtualisation.free_page_reporting", "there is no virtio balloon to tell");
        }
        Self { hypervisor, vendor, product, free_page_reporting }
    }
}

/// What systems without a CPU flag show.
fn hypervisor(files: &dyn Files, vendor: Option<&str>, product: Option<&str>) -> Option<bool> {
    if files.text("/sys/hypervisor/type").is_ok() || files.names("/proc/device-tree/hypervisor").is_ok() {
        return Some(true);
    }
    let made_up = ["linux,dummy-virt", "linux,kvm", "xen,"];
    let compatible = tree(files, "compatible");
    if compatible.iter().any(|name| made_up.iter().any(|known| name.starts_with(known))) {
        return Some(true);
    }
    // Bare-metal offers of the clouds carry the vendor's name too, and say "metal" in the product.
    let vendor = vendor?.to_lowercase();
    let product = product?.to_lowercase();
    let known =
        ["qemu", "kvm", "vmware", "xen", "innotek", "parallels", "bochs", "firecracker", "cloud hypervisor"];
    let cloud = [
        "amazon ec2",
        "google",
        "microsoft corporation",
        "alibaba cloud",
        "openstack",
        "digitalocean",
        "hetzner",
    ];
    let names = |list: &[&str]| list.iter().any(|name| vendor.contains(name) || product.contains(name));
    if names(&known) {
        return Some(true);
    }
    if names(&cloud) { (!product.contains("metal")).then_some(true) } else { Some(false) }
}

/// A property of the device tree's root: strings that end in a zero byte each.
fn tree(files: &dyn Files, property: &str) -> Vec<String> {
    let text = files.text(&format!("/proc/device-tree/{property}")).unwrap_or_default();
    text.split('\0').filter_map(line).collect()
}

/// Looks at every virtio device of type 5, the balloon.
fn free_page_reporting(files: &dyn Files) -> Option<bool> {
    const DEVICES: &str = "/sys/bus/virtio/devices";
    /// `VIRTIO_BALLOON_F_REPORTING`; sysfs prints bit 0 first.
    const REPORTING: usize = 5;
    let mut seen = None;
    for name in files.names(DEVICES).ok()? {
        let kind = files.text(&format!("{DEVICES}/{name}/device")).unwrap_or_default();
        if kind.trim() != "0x0005" {
            continue;
        }
        let features = files.text(&format!("{DEVICES}/{name}/features")).ok()?;
        let reports = features.trim().as_bytes().get(REPORTING)? == &b'1';
        seen = Some(seen.unwrap_or(false) || reports);
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::super::source::literal::Literal;
    use super::*;

    fn read(files: &Literal, flag: Option<bool>) -> Virtualisation {
        Virtualisation::read(&mut Facts::new(files), flag)
    }

    #[test]
    fn the_cpus_flag_is_believed() {
        let files = Literal::default();
        assert_eq!(read(&files, Some(true)).hypervisor, Some(true));
        assert_eq!(read(&files, Some(false)).hypervisor, Some(false));
        assert_eq!(read(&files, None).hypervisor, None);
    }

    #[test]
    fn arm_is_told_by_its_firmware_and_its_device_tree() {
        let dmi = ["/sys/class/dmi/id/sys_vendor", "/sys/class/dmi/id/product_name"];
        let tree = ["/proc/device-tree/compatible", "/proc/device-tree/model"];
        let kvm = ["/proc/device-tree/hypervisor/compatible", ""];
        let dummy = "linux,dummy-virt";
        for (paths, texts, hypervisor, product) in [
            (dmi, ["QEMU\n", "KVM Virtual Machine\n"], Some(true), Some("KVM Virtual Machine")),
            (dmi, ["Amazon EC2\n", "m7g.large\n"], Some(true), Some("m7g.large")),
            // Metal may be either: not known.
            (dmi, ["Amazon EC2\n", "m7g.metal\n"], None, Some("m7g.metal")),
            (dmi, ["Ampere(TM)\n", "Mt. Jade\n"], Some(false), Some("Mt. Jade")),
            (kvm, ["linux,kvm", ""], Some(true), None),
            (tree, ["linux,dummy-virt\0", "linux,dummy-virt\0"], Some(true), Some(dummy)),
            (tree, ["xen,xenvm-4.17\0xen,xenvm\0", ""], Some(true), None),
            // No sign of one, and no vendor that is known to have none.
            (
                tree,
                ["raspberrypi,4-model-b\0brcm,bcm2711\0", "Raspberry Pi 4\0"],
                None,
                Some("Raspberry Pi 4"),
            ),
        ] {
            let found = read(&Literal(paths.into_iter().zip(texts).collect()), None);
            assert_eq!((found.hypervisor, found.product.as_deref()), (hypervisor, product), "{texts:?}");
        }
    }

    #[test]
    fn a_balloon_tells_whether_free_pages_are_reported() {
        let balloon = |features| {
            Literal(vec![
                ("/sys/bus/virtio/devices/virtio0/device", "0x0002\n"),
                ("/sys/bus/virtio/devices/virtio0/features", "1111111111\n"),
                ("/sys/bus/virtio/devices/virtio1/device", "0x0005\n"),
                ("/sys/bus/virtio/devices/virtio1/features", features),
            ])
        };
        assert_eq!(free_page_reporting(&balloon("0110010100\n")), Some(true));
        assert_eq!(free_page_reporting(&balloon("0110000100\n")), Some(false));
        assert_eq!(free_page_reporting(&balloon("01\n")), None, "too short to tell");
        assert_eq!(free_page_reporting(&Literal::default()), None);
    }
}
