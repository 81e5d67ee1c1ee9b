//! Huge pages for memory that is there already, such as a large table that is read at random.

use std::ops::Range;

use crate::error::Error;

const HUGE_PAGE: usize = 2 << 20;

/// Moves memory of this process into huge pages (`MADV_COLLAPSE` of madvise(2), Linux 6.1), and says how many
/// bytes lie in such pages now: whole ones only, and no more than the kernel had at hand. What is in the memory
/// stays as it is, also while other threads use it. Takes about a millisecond for each huge page.
///
/// # Errors
/// [`Error::System`] when not a single page could be moved, because the kernel has none free or does not know how.
pub fn move_to_huge_pages(memory: Range<*const u8>) -> Result<usize, Error> {
    let start = memory.start.addr().next_multiple_of(HUGE_PAGE);
    let end = memory.end.addr() / HUGE_PAGE * HUGE_PAGE;
    let mut moved = 0;
    let mut refused = None;
    for page in (start..end).step_by(HUGE_PAGE) {
        let page = memory.start.with_addr(page).cast_mut();
        // SAFETY: this advice changes no byte and no protection, whatever memory it is given for; memory that is
        // not mapped is refused. So nobody who uses the memory can notice.
        match unsafe { libc::madvise(page.cast(), HUGE_PAGE, libc::MADV_COLLAPSE) } {
            0 => moved += HUGE_PAGE,
            _ => refused = refused.or_else(|| Some(Error::last("madvise(MADV_COLLAPSE)"))),
        }
    }
    match refused {
        Some(error) if moved == 0 => Err(error),
        _ => Ok(moved),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_memory_stays() {
        let words: Vec<u64> = (0..1 << 20).collect();
        let range = words.as_ptr_range();
        // A machine without a free huge page may refuse.
        if let Ok(moved) = move_to_huge_pages(range.start.cast()..range.end.cast()) {
            assert!(moved > 0 && moved < size_of_val(&*words), "{moved}");
            assert!(moved.is_multiple_of(HUGE_PAGE));
        }
        assert!(words.iter().copied().eq(0..1 << 20));
    }

    #[test]
    fn less_than_a_page_is_nothing_to_do_and_what_is_not_mapped_is_refused() {
        let small = [0_u8; 4096];
        assert_eq!(move_to_huge_pages(small.as_ptr_range()).unwrap(), 0);
        let page = std::ptr::without_provenance::<u8>(HUGE_PAGE);
        assert!(move_to_huge_pages(page..page.wrapping_add(HUGE_PAGE)).is_err());
    }
}
