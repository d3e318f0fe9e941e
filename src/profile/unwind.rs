//! Stacks from registers and copied bytes: by what compilers wrote for exceptions where there is such, and by frame pointers
//! elsewhere, which wasmtime compiles guests with.

use framehop::{
    CacheNative, ExplicitModuleSectionInfo, MayAllocateDuringUnwind, Module, UnwindRegsNative, Unwinder,
    UnwinderNative,
};

use super::image::Mapped;

/// The registers that a sample needs, as bits of `arch/x86/include/uapi/asm/perf_regs.h`: bp, sp and ip.
#[cfg(target_arch = "x86_64")]
pub const REGISTERS: u64 = 1 << 6 | 1 << 7 | 1 << 8;

/// The registers that a sample needs, as bits of `arch/arm64/include/uapi/asm/perf_regs.h`: x29, lr, sp and pc.
#[cfg(target_arch = "aarch64")]
pub const REGISTERS: u64 = 1 << 29 | 1 << 30 | 1 << 31 | 1 << 32;

/// Most frames of a stack; deeper ones end early.
const MOST_FRAMES: usize = 512;

/// Where a thread was.
#[derive(Clone, Copy, Debug)]
pub struct Registers {
    ip: u64,
    sp: u64,
    native: UnwindRegsNative,
}

impl Registers {
    /// Reads them in the order of the bits of [`REGISTERS`]; none where there are fewer.
    #[cfg(target_arch = "x86_64")]
    pub fn of(values: &[u64]) -> Option<Self> {
        let &[bp, sp, ip] = values else { return None };
        Some(Self { ip, sp, native: UnwindRegsNative::new(ip, sp, bp) })
    }

    /// Reads them in the order of the bits of [`REGISTERS`]; none where there are fewer.
    #[cfg(target_arch = "aarch64")]
    pub fn of(values: &[u64]) -> Option<Self> {
        let &[fp, lr, sp, ip] = values else { return None };
        Some(Self { ip, sp, native: UnwindRegsNative::new(lr, sp, fp) })
    }
}

/// Unwinds the stacks of one process.
pub struct Stacks {
    unwinder: UnwinderNative<Vec<u8>, MayAllocateDuringUnwind>,
    cache: CacheNative<MayAllocateDuringUnwind>,
}

impl Stacks {
    /// Knows what is mapped into a process. What is not is guest code.
    pub fn of(mapped: &[Mapped]) -> Self {
        let mut unwinder = UnwinderNative::new();
        for Mapped { image, range, bias } in mapped {
            let sections = &image.sections;
            let (frame, index) = (&sections.eh_frame, &sections.eh_frame_hdr);
            let info = ExplicitModuleSectionInfo {
                base_svma: 0,
                text_svma: sections.text.clone(),
                got_svma: sections.got.clone(),
                eh_frame_svma: frame.as_ref().map(|section| section.range()),
                eh_frame: frame.as_ref().map(|section| section.bytes.clone()),
                eh_frame_hdr_svma: index.as_ref().map(|section| section.range()),
                eh_frame_hdr: index.as_ref().map(|section| section.bytes.clone()),
                ..Default::default()
            };
            unwinder.add_module(Module::new(image.name.clone(), range.clone(), *bias, info));
        }
        Self { unwinder, cache: CacheNative::new() }
    }

    /// The addresses of the frames of a stack, the innermost first, of which the bytes from the stack pointer on are there; and
    /// whether the outermost was reached. Each is within the instruction that called, so that it is in the right function.
    pub fn unwind(&mut self, registers: Registers, stack: &[u8]) -> (Vec<u64>, bool) {
        let mut read = |address: u64| {
            let at = address.checked_sub(registers.sp).and_then(|at| usize::try_from(at).ok()).ok_or(())?;
            let bytes = at.checked_add(8).and_then(|end| stack.get(at..end)).ok_or(())?;
            bytes.try_into().map(u64::from_ne_bytes).map_err(|_| ())
        };
        let mut frames =
            self.unwinder.iter_frames(registers.ip, registers.native, &mut self.cache, &mut read);
        let mut addresses = Vec::new();
        while addresses.len() < MOST_FRAMES {
            match frames.next() {
                Ok(Some(frame)) => addresses.push(frame.address_for_lookup()),
                Ok(None) => return (addresses, true),
                Err(_) => break,
            }
        }
        (addresses, false)
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn a_stack_without_unwind_information_is_walked_by_frame_pointers() {
        let sp = 0x7000_0000;
        // A local, then two frames: each the caller's frame pointer and a return address.
        let words: [u64; 6] = [7, sp + 32, 0x40_1005, 9, 0, 0x40_2005];
        let stack: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let registers = Registers::of(&[sp + 8, sp, 0x40_0000]).expect("three registers");
        let (addresses, _) = Stacks::of(&[]).unwind(registers, &stack);
        assert_eq!(addresses[..3], [0x40_0000, 0x40_1004, 0x40_2004]);
    }

    #[test]
    fn a_stack_that_was_cut_off_says_so() {
        let sp = 0x7000_0000;
        let stack: Vec<u8> = [sp + 4096, 0x40_1005_u64].iter().flat_map(|word| word.to_ne_bytes()).collect();
        let registers = Registers::of(&[sp, sp, 0x40_0000]).expect("three registers");
        assert_eq!(Stacks::of(&[]).unwind(registers, &stack), (vec![0x40_0000, 0x40_1004], false));
        assert!(Registers::of(&[1, 2]).is_none());
    }
}
