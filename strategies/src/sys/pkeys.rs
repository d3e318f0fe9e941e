//! Protection keys of memory: pages are marked with a key, and a thread opens or closes all pages of a key at once.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;

use super::page::Scratch;
use super::{Mechanism, checked};

/// `PKEY_DISABLE_ACCESS` of `include/uapi/asm-generic/mman-common.h`.
const DISABLE_ACCESS: libc::c_int = 1;

/// A key that is given back when it is dropped. No page may have it any more by then.
struct Key(libc::c_int);

impl Key {
    /// A key whose pages the calling thread may not touch.
    fn closed() -> io::Result<Self> {
        // SAFETY: the call takes two numbers; it changes the rights to pages of a key that no page has.
        let key = unsafe { libc::syscall(libc::SYS_pkey_alloc, 0, DISABLE_ACCESS) };
        checked(key as libc::c_int).map(Self)
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: the key is ours, and no page has it.
        let _given_back = unsafe { libc::syscall(libc::SYS_pkey_free, self.0) };
    }
}

/// Marks the pages with a key; 0 is that of all pages that no other was given to.
fn mark(scratch: &Scratch, key: libc::c_int) -> io::Result<()> {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: the range is that of the mapping, into which no reference exists.
    let done = unsafe {
        libc::syscall(libc::SYS_pkey_mprotect, scratch.map.as_mut_ptr(), scratch.map.len(), access, key)
    };
    checked(done as libc::c_int).map(drop)
}

/// Has the kernel write a zero into the first byte, with the rights of the calling thread.
fn write_by_the_kernel(scratch: &Scratch) -> io::Result<()> {
    let zeros = File::open("/dev/zero")?;
    // SAFETY: the byte is that of the mapping, into which no reference exists.
    let read = unsafe { libc::read(zeros.as_raw_fd(), scratch.map.as_mut_ptr().cast(), 1) };
    checked(read as libc::c_int).map(drop)
}

/// pkey_alloc(2) and pkey_mprotect(2), Linux 4.9 on x86-64.
pub static PROTECTION_KEYS: Mechanism =
    Mechanism::new("protection keys", "closes all pages of a key at once", || {
        let scratch = Scratch::pages(1)?;
        scratch.write(0, 7);
        let key = Key::closed().map_err(|e| match e.raw_os_error() {
            // A kernel may find out that there is no such thing before it gives a key, or afterwards.
            Some(libc::ENOSPC | libc::EINVAL | libc::ENOSYS) => {
                format!("processor and kernel have none (`pku` and `ospke` in /proc/cpuinfo): {e}")
            }
            _ => format!("pkey_alloc: {e}"),
        })?;
        mark(&scratch, key.0).map_err(|e| format!("pkey_mprotect: {e}"))?;
        let closed = write_by_the_kernel(&scratch);
        mark(&scratch, 0).map_err(|e| format!("pkey_mprotect: {e}"))?;
        match (closed.map_err(|e| e.raw_os_error()), scratch.read(0)) {
            (Err(Some(libc::EFAULT)), 7) => Ok(()),
            (closed, left) => Err(format!("a write to a closed page ended with {closed:?} and left {left}")),
        }
    })
    .since(4, 9);

/// Slots of wasmtime's pool that have two keys in turn.
pub static STRIPES: Mechanism =
    Mechanism::new("wasmtime's striped pool", "takes slots of another key for a guard", || {
        let engine = striped()?;
        let smaps = fs::read_to_string("/proc/self/smaps").map_err(|e| format!("/proc/self/smaps: {e}"))?;
        drop(engine);
        match keys(&smaps) {
            2.. => Ok(()),
            found => Err(format!("wasmtime took {found} keys for two slots, so that they have no stripes")),
        }
    })
    .since(4, 9);

/// An engine whose pool has two slots with a key each.
#[cfg(feature = "mpk")]
fn striped() -> Result<wasmtime::Engine, String> {
    use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};
    if !PoolingAllocationConfig::are_memory_protection_keys_available() {
        return Err("wasmtime 48 uses protection keys of Intel's processors only".into());
    }
    let mut pool = PoolingAllocationConfig::new();
    pool.total_memories(2).max_memory_size(1 << 32).memory_protection_keys(Enabled::Yes);
    pool.total_core_instances(2).total_tables(1);
    let mut config = Config::new();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config).map_err(|e| format!("wasmtime: {e:#}"))
}

/// Without the feature, wasmtime has no such pool.
#[cfg(not(feature = "mpk"))]
fn striped() -> Result<wasmtime::Engine, String> {
    Err("this program is built without it: build with `--features mpk`, which is no default since wasmtime's calls into \
         its runtime then take a little longer under all strategies"
        .into())
}

/// How many keys besides the first the mappings of a process have, by the text of smaps (proc_pid_smaps(5)).
fn keys(smaps: &str) -> usize {
    let said = smaps.lines().filter_map(|line| line.strip_prefix("ProtectionKey:")?.trim().parse().ok());
    let mut keys: Vec<u32> = said.filter(|key| *key > 0).collect();
    keys.sort_unstable();
    keys.dedup();
    keys.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smaps_says_which_keys_there_are() {
        let mapping = |key: u32| format!("VmFlags: rd wr\nProtectionKey:         {key}\n");
        assert_eq!(keys(&[0, 1, 0, 2, 1].map(mapping).concat()), 2);
        assert_eq!(keys(&mapping(0)), 0);
        assert_eq!(keys("Size: 4 kB\n"), 0, "a kernel without keys");
    }

    #[test]
    fn a_missing_key_is_told_with_a_reason() {
        let here = fs::read_to_string("/proc/cpuinfo").is_ok_and(|text| text.contains(" ospke"));
        match PROTECTION_KEYS.available() {
            Ok(()) => assert!(here),
            Err(reason) => assert!(!here && reason.len() > 20, "{reason}"),
        }
    }
}
