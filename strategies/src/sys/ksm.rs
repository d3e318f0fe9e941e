//! Kernel same-page merging: a page that the kernel merges can become the shared page of zeros without a fault.

use super::Mechanism;

/// Whether this process asked for all its memory to be merged (`PR_SET_MEMORY_MERGE`, Linux 6.4, which an exec
/// keeps). A kernel that does not know the question merges nothing of a process as a whole.
pub fn is_asked_for() -> bool {
    // SAFETY: the call takes no pointer, and changes nothing.
    unsafe { libc::prctl(libc::PR_GET_MEMORY_MERGE, 0, 0, 0, 0) == 1 }
}

/// A process whose memory is not merged as a whole: for what takes the shared page of zeros for a page that was only
/// read, and for what goes by bits that a merged page loses.
pub static NOT_ASKED: Mechanism = Mechanism::new("no KSM", "no page is merged with another one", || {
    if !is_asked_for() {
        return Ok(());
    }
    Err("this process asked for KSM, which takes the soft-dirty bits of pages that it merges, and may map the shared page \
         of zeros where a block wrote zeros; prctl(PR_SET_MEMORY_MERGE, 0) ends it, and so does MemoryKSM=no of a systemd \
         unit"
        .into())
});

#[cfg(feature = "pool-scan")]
#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use super::*;

    const CHILD: &str = "RESET_STRATEGIES_ASKED_FOR_KSM";

    #[test]
    fn a_process_that_asked_for_ksm_is_refused() {
        if std::env::var_os(CHILD).is_some() {
            assert!(is_asked_for(), "an exec keeps it");
            let reason = format!("{:?}", crate::fresh::pooling_scan::STRATEGY.availability());
            assert!(reason.contains("asked for KSM"), "{reason}");
            return;
        }
        assert!(!is_asked_for(), "the tests run without it");
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "sys::ksm::tests::a_process_that_asked_for_ksm_is_refused"]).env(CHILD, "1");
        // SAFETY: prctl is safe between fork and exec, and nothing else is called there.
        unsafe {
            child.pre_exec(|| {
                super::super::checked(libc::prctl(libc::PR_SET_MEMORY_MERGE, 1, 0, 0, 0)).map(drop)
            })
        };
        match child.output() {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                eprintln!("NOT TESTED HERE: the kernel has no PR_SET_MEMORY_MERGE");
            }
            output => {
                let output = output.unwrap();
                let told = String::from_utf8_lossy(&output.stdout);
                assert!(output.status.success() && told.contains("1 passed"), "{told}");
            }
        }
    }
}
