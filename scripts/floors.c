// What the kernel and the memory charge for the mechanisms that resets are made of, with no wasm involved.
//
//     cc -O2 -pthread scripts/floors.c -o floors && ./floors > docs/FLOORS.md
//
// It takes about a minute, in which nothing else may run. `--rounds N` repeats more or less often. `--smoke`
// repeats once and prints only what could not be had, so that CI sees that every experiment runs.
//
// An experiment is one function. Each round runs all of them in an order shuffled anew, so that noise hits all alike;
// the first round warms up, in the order of the table, and is not kept. Memory is touched before it is timed, also
// where it is then freed and faulted in again: a hypervisor's first backing of a page is in no figure. Every effect is
// checked: where it did not come about, a reason stands for the figure; where bytes are wrong or the kernel claims what
// is not so, the program fails.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef __x86_64__
#include <emmintrin.h>
#endif

#define MIB ((size_t)1 << 20)
#define SIZE (64 * MIB)
#define LENGTH(array) (sizeof(array) / sizeof *(array))
#define NS(...) ({ double began = now(); __VA_ARGS__; now() - began; }) // nanoseconds that statements take

// Of Linux 6.1 and 6.7, since headers are often older than the kernel: MADV_, UFFD_FEATURE_, PAGE_IS_, PM_SCAN_.
enum { COLLAPSE = 25, WP_UNPOPULATED = 1 << 13, WP_ASYNC = 1 << 15 };
enum { WRITTEN = 1 << 1, HUGE_PAGE = 1 << 6, WP_MATCHING = 1 << 0, CHECK_WPASYNC = 1 << 1 };
struct scan { uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages, inverted, mask, anyof, wanted; };
struct region { uint64_t start, end, categories; };
#define PAGEMAP_SCAN _IOWR('f', 16, struct scan)

static struct row {
    char name[96], why[80];
    const char *unit;
    int experiment, n, lacking;
    double value[1000];
} rows[200];
static int row_count, experiment, warm, contradictions, cpus[2] = {-1, -1}, image, pagemap, uffd, ends[2];
static size_t page;
static char *arena, *zeros, lack[80]; // `lack`: why the effect did not come about, since `fresh`

static void must(int holds, const char *what) {
    if (!holds) fprintf(stderr, "floors: experiment %d contradicts itself: %s\n", experiment + 1, what);
    contradictions += !holds;
}

static void need(int done, const char *what) {
    if (!done) perror(what), exit(3);
}

// Adds a figure to its row, or what is lacking for it.
__attribute__((format(printf, 3, 4))) static void report(double value, const char *unit, const char *format, ...) {
    struct row new = {.unit = unit, .experiment = experiment}, *row = rows;
    va_list list;
    va_start(list, format);
    vsnprintf(new.name, sizeof new.name, format, list);
    va_end(list);
    while (row < rows + row_count && (row->experiment != experiment || strcmp(row->name, new.name))) row++;
    need(row < rows + LENGTH(rows), "more rows than there is room for");
    if (row == rows + row_count) *row = new, row_count++;
    if (*lack) strcpy(row->why, lack);
    if (warm && *lack) row->lacking++;
    if (warm && !*lack) row->value[row->n++] = value;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

static void pin(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    need(!sched_setaffinity(0, sizeof set, &set), "sched_setaffinity");
}

static void touch(char *memory, size_t pages, size_t every) {
    for (size_t i = 0; i < pages; i++) *(volatile char *)(memory + i * every * page) = 1;
}

static int blank(const char *memory, size_t bytes) {
    while (bytes && !memcmp(memory, zeros, page)) memory += page, bytes -= page;
    return !bytes;
}

static int readable(const char *byte) {
    char got;
    return write(ends[1], byte, 1) == 1 && read(ends[0], &got, 1) == 1;
}

static long faults(void) {
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_minflt + usage.ru_majflt;
}

static void expect_faults(long expected, long taken) {
    if (taken < expected || taken > expected + expected / 50 + 2) sprintf(lack, "%ld faults, not %ld", taken, expected);
}

// Pages of a category. With flags it write-protects them instead. Negative where there is no PAGEMAP_SCAN.
static long scan(char *memory, size_t bytes, uint64_t category, uint64_t flags) {
    static struct region found[512];
    uint64_t pages = 0, start = (uintptr_t)memory;
    struct scan arg = {.size = sizeof arg, .flags = flags, .start = start, .end = start + bytes, .mask = category};
    if (!flags) arg.vec = (uintptr_t)found, arg.vec_len = LENGTH(found), arg.wanted = category;
    for (; arg.start < arg.end; arg.start = arg.walk_end) {
        int regions = ioctl(pagemap, PAGEMAP_SCAN, &arg);
        if (regions < 0 || arg.walk_end <= arg.start) {
            if (!*lack) strcpy(lack, "no PAGEMAP_SCAN");
            return -1;
        }
        while (regions--) pages += (found[regions].end - found[regions].start) / page;
    }
    return pages;
}

static void protect(char *memory, size_t bytes) { scan(memory, bytes, WRITTEN, WP_MATCHING | CHECK_WPASYNC); }

static void track(char *memory, size_t bytes) {
    struct uffdio_register range = {{(uintptr_t)memory, bytes}, UFFDIO_REGISTER_MODE_WP, 0};
    if (uffd < 0 || ioctl(uffd, UFFDIO_REGISTER, &range)) strcpy(lack, "no userfaultfd with WP_ASYNC");
}

enum kind { SMALL, IMAGE, COLLAPSED, HUGE }; // IMAGE: a private mapping of a memfd that is full of ones

// A new memory in place of the one before, every page touched.
static char *fresh(size_t bytes, enum kind kind) {
    int flags = MAP_PRIVATE | MAP_FIXED | (kind == IMAGE ? 0 : MAP_ANONYMOUS);
    need(mmap(arena, 2 * SIZE, PROT_NONE, MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) == arena &&
         mmap(arena, bytes, PROT_READ | PROT_WRITE, flags, kind == IMAGE ? image : -1, 0) == arena, "mmap");
    madvise(arena, bytes, kind == HUGE ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    touch(arena, bytes / page, 1);
    *lack = 0;
    if (kind == COLLAPSED) {
        double ns = NS(if (madvise(arena, bytes, MADV_HUGEPAGE) || madvise(arena, bytes, COLLAPSE))
                           sprintf(lack, "MADV_COLLAPSE: %s", strerror(errno)));
        if (bytes > SIZE) report(ns / (bytes / MIB / 2) / 1e3, "µs per 2 MiB", "MADV_COLLAPSE");
    }
    if (kind >= COLLAPSED && !*lack && scan(arena, bytes, HUGE_PAGE, 0) * page != bytes && !*lack) {
        must(kind == HUGE, "MADV_COLLAPSE left small pages");
        strcpy(lack, "the kernel gave no huge pages");
    }
    return arena;
}

static void zero(char *memory, int streaming) {
#ifdef __x86_64__
    for (char *at = memory; streaming && at < memory + page; at += 16)
        _mm_stream_si128((__m128i *)at, _mm_setzero_si128());
    if (streaming) return;
#endif
    (void)streaming, memset(memory, 0, page);
}

static double zero_all(char *memory, size_t bytes, int streaming, int passes) {
    memset(memory, 1, bytes);
    double ns = NS(for (int pass = 0; pass < passes; pass++)
                       for (size_t at = 0; at < bytes; at += page) zero(memory + at, streaming);
                   atomic_thread_fence(memory_order_seq_cst));
    must(blank(memory, bytes), "zeroed pages are not zero");
    return ns / passes / (bytes / page);
}

static void zeroing(void) {
    char *memory = fresh(SIZE, SMALL);
    for (int i = 0; i < 8; i++) {
        int mib = (int[]){1, 16, 32, 64}[i / 2], streaming = i % 2;
        double ns = zero_all(memory, mib * MIB, streaming, 16 / mib + 1);
#ifndef __x86_64__
        strcpy(lack, streaming ? "x86-64 only" : "");
#endif
        report(ns, "ns per page", "%s stores, %d MiB", streaming ? "streaming" : "ordinary", mib);
    }
}

// Page by page, as scattered ones are; from the last to the first if `back`, and each page fetched one before if `fetch`.
static void sweep(char *memory, size_t pages, int back, int fetch) {
    for (size_t n = 0; n < pages; n++) {
        char *at = memory + (back ? pages - 1 - n : n) * page, *next = back ? at - page : at + page;
        for (size_t line = 0; fetch && n + 1 < pages && line < page; line += 64) __builtin_prefetch(next + line, 1, 3);
        zero(at, 0);
    }
}

static void zeroing_again(void) {
    char *memory = fresh(SIZE, SMALL);
    for (int i = 0; i < 8; i++) {
        size_t pages = (size_t[]){MIB / 16, MIB, 4 * MIB, 8 * MIB}[i / 2] / page, passes = 2 + 16 * MIB / page / pages;
        int turns = i % 2;
        double ns = 0;
        for (size_t pass = 0; pass < passes; pass++) {
            touch(memory, pages, 1);
            ns += NS(sweep(memory, pages, turns && pass % 2, 0));
        }
        must(blank(memory, pages * page), "zeroed pages are not zero");
        report(ns / passes / pages, "ns per page", "%zu pages, %s", pages, turns ? "there and back" : "always forwards");
    }
    for (int fetch = 0; fetch < 2; fetch++) {
        memset(memory, 1, 16 * MIB);
        memset(memory + 16 * MIB, 1, SIZE - 16 * MIB);
        double ns = NS(sweep(memory, 16 * MIB / page, 0, fetch));
        must(blank(memory, 16 * MIB), "zeroed pages are not zero");
        report(ns * page / (16 * MIB), "ns per page", "16 MiB filled before 48 MiB were, %s",
               fetch ? "each page fetched while the one before is zeroed" : "page by page");
    }
}

static void comparing(void) {
    char *memory = fresh(SIZE, SMALL);
    for (size_t mib = 1; mib <= 64; mib *= 64) {
        size_t bytes = mib * MIB, pages = bytes / page, differ = 0;
        memset(memory, 0, bytes);
        double ns = NS(for (size_t i = 0; i < pages; i++) differ += memcmp(memory + i * page, zeros, page) != 0);
        must(!differ, "blank pages differ from zeros");
        report(ns / pages, "ns per page", "a clean page, %zu MiB", mib);
        for (size_t i = 1; i <= pages; i++) memory[i * page - 1] = 1;
        ns = NS(for (char *at = memory; at < memory + bytes; at += page) if (memcmp(at, zeros, page)) zero(at, 0));
        must(blank(memory, bytes), "pages that differed are not zero");
        report(ns / pages, "ns per page", "a page that differs in its last byte, and zeroing it, %zu MiB", mib);
    }
}

static void faulting(void) {
    for (int i = 0; i < 3; i++) {
        size_t every = 1 + i % 2, pages = SIZE / page / every;
        char *memory = fresh(SIZE, i == 2 ? IMAGE : SMALL);
        memory[1] = 7;
        madvise(memory, SIZE, MADV_DONTNEED);
        must(memory[1] == (i == 2), "MADV_DONTNEED did not bring the page back");
        touch(memory, pages, every);
        long before = faults();
        double ns = NS(madvise(memory, SIZE, MADV_DONTNEED); touch(memory, pages, every));
        expect_faults(pages, faults() - before);
        report(ns / pages, "ns per page", "%s, %s", i == 2 ? "MAP_PRIVATE memfd (copy on write)" : "anonymous",
               i == 1 ? "every second" : "contiguous");
    }
}

static void write_protecting(void) {
    for (int i = 0; i < 8; i++) {
        size_t times = i / 2 % 2 ? 1 : 8, pages = 8 * MIB / times / page;
        size_t every = 1 + i % 2, bytes = pages * every * page;
        char *memory = fresh(bytes, i / 4 ? IMAGE : SMALL), what[64];
        double fault = 0, list = 0, again = 0;
        track(memory, bytes);
        protect(memory, bytes);
        long before = faults(), clean = scan(memory, bytes, WRITTEN, 0), found = 0;
        for (size_t n = 0; n < times && !*lack; n++) {
            fault += NS(touch(memory, pages, every));
            list += NS(found += scan(memory, bytes, WRITTEN, 0));
            again += NS(protect(memory, bytes));
        }
        must(*lack || (!clean && found == (long)(times * pages)), "PAGEMAP_SCAN found other pages than were written");
        if (!*lack) expect_faults(times * pages, faults() - before);
        sprintf(what, "%s, %zu pages, %s", i / 4 ? "MAP_PRIVATE memfd" : "anonymous", pages,
                i % 2 ? "every second" : "contiguous");
        report(fault / times / pages, "ns per page", "%s: write fault", what);
        report(list / times / pages, "ns per page", "%s: scan", what);
        report(again / times / pages, "ns per page", "%s: protect again", what);
    }
}

static volatile size_t window, signals;
static volatile char opened[SIZE / 4096];

static void on_fault(int number, siginfo_t *info, void *context) {
    size_t at = ((char *)info->si_addr - arena) / page / window, bytes = window * page;
    if (at * bytes >= SIZE || opened[at]++ || mprotect(arena + at * bytes, bytes, PROT_READ | PROT_WRITE))
        signal(number, SIG_DFL); // Not ours: it faults again, and ends the program.
    (void)context, signals++;
}

static void trapping(void) {
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO}, before;
    size_t dirty = 8 * MIB / page, all = SIZE / page, order[8 * MIB / 4096];
    char *memory = memset(fresh(SIZE, SMALL), 0, SIZE);
    sigaction(SIGSEGV, &action, &before);
    for (int i = 0; i < 12; i++) {
        char chosen[SIZE / 4096] = {0};
        for (size_t n = 0; n < dirty; n++) {
            do order[n] = i % 3 == 2 ? (size_t)random() % all : n * (1 + i % 3);
            while (chosen[order[n]]++);
        }
        need(!mprotect(memory, SIZE, PROT_READ), "mprotect");
        memset((char *)opened, 0, sizeof opened);
        size_t restored = signals = 0;
        window = (size_t[]){1, 8, 32, 256}[i / 3];
        double ns = NS(for (size_t n = 0; n < dirty; n++) *(volatile char *)(memory + order[n] * page) = 1;
                       for (size_t n = 0; n < all; n++) if (opened[n / window]) zero(memory + n * page, 0), restored++;
                       need(!mprotect(memory, SIZE, PROT_READ), "mprotect"));
        must(restored == signals * window && restored >= dirty && blank(memory, SIZE), "a written page was overlooked");
        report(ns / dirty, "ns per dirty page", "windows of %zu, %s", window,
               (const char *[]){"contiguous", "every second", "random"}[i % 3]);
    }
    sigaction(SIGSEGV, &before, NULL);
}

static void forking(void) {
    for (int i = 0, status; i < 3; i++) {
        size_t dirty = (size_t[]){MIB / 16, MIB, 8 * MIB}[i] / page;
        char *memory = fresh(SIZE, SMALL);
        double ns = NS(pid_t child = fork();
                       if (!child) touch(memory + 1, dirty, 1), _exit(faults() < (long)dirty);
                       need(child > 0 && waitpid(child, &status, 0) == child, "fork"));
        must(!memory[1] && !memory[(dirty - 1) * page + 1], "the child wrote to the parent's memory");
        if (status) strcpy(lack, "the child took too few faults");
        report(ns / 1e3, "µs per block", "%zu dirty pages", dirty);
    }
}

static atomic_int second, stop; // whether a second thread runs, and is to end
static atomic_ulong turns;

static void *spin(void *unused) {
    for (pin(cpus[1]); !stop; turns++) continue;
    return unused;
}

// Closes the pages behind the first 2 MiB and opens them again, at once and by the steps in which wasm grows.
static void tail(const char *where, enum kind kind, size_t bytes) {
    char *tail = fresh(2 * MIB + bytes, kind) + 2 * MIB, *last = tail + bytes - page;
    static const char *what[] = {"close", "open at once", "open by 64 KiB", "close after that"};
    for (int i = 0; i < 3 + (kind >= COLLAPSED); i++) {
        int opens = i % 3 != 0, protection = opens ? PROT_READ | PROT_WRITE : PROT_NONE;
        size_t step = i == 2 ? MIB / 16 : bytes;
        if (i == 2) need(!mprotect(tail, bytes, PROT_NONE), "mprotect");
        unsigned long before = turns;
        double ns = NS(for (char *at = tail; at <= last; at += step) need(!mprotect(at, step, protection), "mprotect"));
        if (second && turns == before) strcpy(lack, "the second thread did not run");
        must(readable(tail - 1) && readable(tail) == opens && readable(last) == opens, "pages are not as protected");
        must(!opens || (*tail == 1 && *last == 1), "the tail lost what it held");
        if (i == 2 && kind >= COLLAPSED && !*lack && scan(tail, bytes, HUGE_PAGE, 0))
            strcpy(lack, "the huge pages are still whole");
        report(ns * page / bytes, "ns per page", "%s, %zu MiB: %s", where, bytes / MIB, what[i]);
        if (second) *lack = 0;
    }
}

static void closing(void) {
    static const char *where[] = {"small pages", "small pages, a second thread", "collapsed once", "MADV_HUGEPAGE"};
    static const enum kind kinds[] = {SMALL, SMALL, COLLAPSED, HUGE};
    pthread_t thread;
    for (int i = 0; i < 4; i++) {
        second = i == 1 && cpus[1] >= 0;
        unsigned long before = turns;
        if (second) need(!pthread_create(&thread, NULL, spin, NULL), "pthread_create");
        while (second && turns == before) continue;
        for (size_t mib = 4; mib <= 64; mib *= 4) {
            if (i != 1 || second) tail(where[i], kinds[i], mib * MIB);
            else strcpy(lack, "one core"), report(0, "ns per page", "%s, %zu MiB", where[i], mib);
        }
        stop = second;
        if (second) pthread_join(thread, NULL);
        second = stop = 0;
    }
}

static uint8_t marks[4096];

// Stores 8 bytes at places that do not depend on each other, with a mark for each 4 KiB or without.
__attribute__((noinline)) static double store(char *memory, int bits, size_t count, int marking) {
    volatile uint8_t *mark = marks;
    return NS(for (uint64_t i = 1; i <= count; i++) {
        size_t at = i * 0x9E3779B97F4A7C15 >> (64 - bits) & ~(size_t)7;
        *(volatile uint64_t *)(memory + at) = i;
        if (marking) mark[at >> 12] = 1;
    }) / count;
}

static void marking(void) {
    char *memory = memset(fresh(16 * MIB, SMALL), 0, 16 * MIB);
    static uint16_t list[sizeof marks];
    size_t same = 0, read = 0;
    store(memory, 24, 1000, 1);
    for (size_t i = 0; i < sizeof marks; i++) same += marks[i] == !!memcmp(memory + i * 4096, zeros, 4096);
    must(same == sizeof marks, "marks are not the pages that were written");
    for (int bits = 15; bits <= 24; bits += 9) {
        const char *where = bits == 15 ? "random stores over 32 KiB" : "random stores over 16 MiB";
        double ns[2] = {0};
        store(memory, bits, MIB, 1); // into the caches, as far as they reach
        for (int i = 0; i < 8; i++) ns[i % 2] += store(memory, bits, MIB / 4, i % 2) / 4;
        report(ns[0], "ns per store", "%s", where);
        report(ns[1] - ns[0], "ns per store", "%s: what a mark adds", where);
    }
    for (size_t i = 0; i < sizeof marks; i++) marks[i] = i % 16 == 0;
    double ns = NS(for (uint64_t i = 0, eight; i < sizeof marks; i += 8) {
        memcpy(&eight, marks + i, 8);
        for (int k = 0; eight && k < 8; k++) list[read] = i + k, read += marks[i + k];
    } memset(marks, 0, sizeof marks));
    must(read == sizeof marks / 16 && list[read - 1] == sizeof marks - 16, "marks were overlooked");
    report(ns, "ns per reset", "reading and clearing 4,096 marks, 256 of them set");
}

enum { IDLE, STARTING, POSTED, STOP, BLOCKS = 16 };
static struct { atomic_int state; char *memory; size_t bytes; double posted, latency; } helper;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void *zero_for_others(void *sleeps) {
    for (pin(cpus[1]);;) {
        helper.state = IDLE;
        if (sleeps) pthread_mutex_lock(&lock);
        while (helper.state == IDLE)
            if (sleeps) pthread_cond_wait(&changed, &lock);
        if (sleeps) pthread_mutex_unlock(&lock);
        helper.latency += now() - helper.posted;
        if (helper.state == STOP) return NULL;
        memset(helper.memory, 0, helper.bytes);
    }
}

static void hand_over(int state, char *memory, size_t bytes, int sleeps) {
    helper.memory = memory, helper.bytes = bytes, helper.posted = now();
    if (sleeps) pthread_mutex_lock(&lock);
    helper.state = state;
    if (sleeps) pthread_cond_signal(&changed), pthread_mutex_unlock(&lock);
}

// A block reads and writes a word in each page; then they are zeroed here, or handed over and the other memory taken.
// Blocks last until the helper is done, and a little longer, so that it is asleep if it sleeps: that is not timed.
static void taking_turns(void) {
    static const char *ways[] = {"zeroed here", "by the other core, which sleeps", "by the other core, which spins"};
    char *memory = memset(fresh(2 * SIZE, SMALL), 0, 2 * SIZE);
    for (int i = 0, found = 0; i < 15; i++, found = 0) {
        size_t way = i % 3, pages = (size_t[]){MIB / 16, MIB, 4 * MIB, 8 * MIB, 32 * MIB}[i / 3] / page;
        double ns = 0;
        pthread_t thread;
        strcpy(lack, way && cpus[1] < 0 ? "one core" : "");
        int helped = way && !*lack, sleeps = way == 1;
        helper.state = helped ? STARTING : IDLE;
        helper.latency = 0;
        if (helped) need(!pthread_create(&thread, NULL, zero_for_others, sleeps ? &helper : NULL), "pthread_create");
        for (int n = 0; n < BLOCKS && !*lack; n++) {
            char *mine = memory + (way && n % 2 ? SIZE : 0);
            ns += NS(for (size_t k = 0; k < pages; k++) found |= (*(volatile int *)(mine + k * page))++);
            while (helper.state != IDLE) continue;
            for (double until = now() + 5e4; way && now() < until;) continue;
            ns += NS(way ? hand_over(POSTED, mine, pages * page, sleeps) : (void)memset(mine, 0, pages * page));
        }
        while (helper.state != IDLE) continue;
        double latency = helper.latency;
        if (helped) hand_over(STOP, NULL, 0, sleeps), pthread_join(thread, NULL);
        must(!found && blank(memory, pages * page) && blank(memory + SIZE, pages * page), "the helper left something");
        report(ns / BLOCKS / 1e3, "µs per block", "%zu pages: %s", pages, ways[way]);
        if (way && i < 3) report(latency / BLOCKS / 1e3, "µs", "until it begins: %s", ways[way]);
    }
}

static void huge_pages(void) {
    char *memory = fresh(SIZE, HUGE);
    report(zero_all(memory, SIZE, 0, 1), "ns per page", "zeroing 64 MiB, ordinary stores");
    double ns = NS(madvise(memory, SIZE, MADV_DONTNEED); touch(memory, SIZE / page, 1));
    if (!*lack && scan(memory, SIZE, HUGE_PAGE, 0) * page != SIZE) strcpy(lack, "the kernel gave small pages back");
    report(ns * page / SIZE, "ns per page", "MADV_DONTNEED and touching every page, 64 MiB");
    for (int i = 0; i < 6; i++) {
        static const char *what[] = {"mprotect of a page", "PAGEMAP_SCAN protects a page", "write, all protected"};
        memory = fresh(SIZE, i % 2 ? SMALL : HUGE);
        if (i >= 2) track(memory, SIZE);
        if (i >= 4) protect(memory, SIZE);
        ns = NS(for (char *at = memory + page; at < memory + SIZE; at += 2 * MIB)
                    if (i >= 4) *at = 1;
                    else if (i >= 2) protect(at, page);
                    else need(!mprotect(at, page, PROT_READ), "mprotect"));
        must(i % 2 || *lack || !scan(memory, SIZE, HUGE_PAGE, 0), "part of a huge page was protected, and it is whole");
        report(ns / (SIZE / MIB / 2), "ns per 2 MiB", "%s, %s pages", what[i / 2], i % 2 ? "small" : "huge");
    }
}

static const struct { const char *title; void (*run)(void); } experiments[] = {
    {"Zeroing pages", zeroing},
    {"Zeroing pages one by one in each of many resets", zeroing_again},
    {"Comparing a page with zeros first", comparing},
    {"MADV_DONTNEED and a fault for each page, 64 MiB", faulting},
    {"userfaultfd WP_ASYNC", write_protecting},
    {"SIGSEGV and mprotect, 8 MiB written of 64 MiB: fault, open, zero what was opened, close", trapping},
    {"fork, write, exit, wait; 64 MiB resident", forking},
    {"Closing a tail of touched pages with PROT_NONE, and opening it", closing},
    {"Marks in the guest, a byte for each 4 KiB", marking},
    {"Two memories in turn: touching the pages, and what the reset takes of this core", taking_turns},
    {"Huge pages, and what one write or one protected page in each of them costs", huge_pages},
};

static int ascending(const void *a, const void *b) {
    return (*(double *)a > *(double *)b) - (*(double *)a < *(double *)b);
}

static void print_number(double value, const char *after) {
    printf("%.*f%s", value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2, value, after);
}

static void print_row(struct row *row) {
    printf("| %s | %s | ", row->name, row->unit);
    if (!row->n) return (void)printf("- (%s) | |\n", row->why);
    qsort(row->value, row->n, sizeof *row->value, ascending);
    print_number((row->value[row->n / 2] + row->value[(row->n - 1) / 2]) / 2, " | ");
    print_number(row->value[0], "..");
    print_number(row->value[row->n - 1], "");
    if (row->lacking) printf(" (not in %d rounds: %s)", row->lacking, row->why);
    printf(" |\n");
}

// The rest of the first line of a file that begins so.
static const char *line(const char *path, const char *begin) {
    static char text[8192];
    FILE *file = fopen(path, "r");
    while (file && fgets(text, sizeof text, file) && strncmp(text, begin, strlen(begin))) *text = 0;
    if (!file || fclose(file) || !*text) return "";
    text[strcspn(text, "\n")] = 0;
    return text + strlen(begin);
}

static void print(int rounds) {
    struct utsname host;
    uname(&host);
    const char *cpu = line("/proc/cpuinfo", "model name\t: ");
    printf("# Floors\n\nWhat the kernel and the memory charge for the mechanisms that resets are made of, with no wasm "
           "involved.\nWhat follows from it is said in [STRATEGIES](STRATEGIES.md#what-was-tried).\n\nPrinted by "
           "[`scripts/floors.c`](../scripts/floors.c) on %s, %ld cores, Linux %s,\n", *cpu ? cpu : host.machine,
           sysconf(_SC_NPROCESSORS_ONLN), host.release);
    const char *thp = strchr(line("/sys/kernel/mm/transparent_hugepage/enabled", ""), '[');
    printf("%zu KiB pages, THP %.*s", page / 1024, thp ? (int)strcspn(thp + 1, "]") : 6, thp ? thp + 1 : "absent");
    printf("%s: %d rounds, in each of which all experiments ran in a shuffled order.\n\n| mechanism | unit | median | "
           "fastest..slowest |\n|:--|:--|--:|--:|\n",
           strstr(line("/proc/cpuinfo", "flags"), " hypervisor") ? ", virtual machine" : "", rounds);
    for (size_t i = 0; i < LENGTH(experiments); i++) {
        printf("| **%s** | | | |\n", experiments[i].title);
        for (struct row *row = rows; row < rows + row_count; row++)
            if (row->experiment == (int)i) print_row(row);
    }
}

static void prepare(void) {
    cpu_set_t allowed;
    page = sysconf(_SC_PAGESIZE);
    need(!sched_getaffinity(0, sizeof allowed, &allowed), "sched_getaffinity");
    for (int cpu = 0, n = 0; cpu < CPU_SETSIZE && n < 2; cpu++)
        if (CPU_ISSET(cpu, &allowed)) cpus[n++] = cpu;
    pin(cpus[0]);
    arena = mmap(NULL, 2 * SIZE + 2 * MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    need(arena != MAP_FAILED && !pipe(ends) && (zeros = calloc(1, page)), "mmap, pipe, calloc");
    arena += -(uintptr_t)arena % (2 * MIB);
    need((image = memfd_create("image", 0)) >= 0 && !ftruncate(image, SIZE), "memfd");
    need(mmap(arena, SIZE, PROT_WRITE, MAP_SHARED | MAP_FIXED, image, 0) == arena, "mmap");
    memset(arena, 1, SIZE);
    pagemap = open("/proc/self/pagemap", O_RDONLY);
    uffd = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
    if (uffd >= 0 && ioctl(uffd, UFFDIO_API, &(struct uffdio_api){UFFD_API, WP_ASYNC | WP_UNPOPULATED, 0})) uffd = -1;
}

int main(int argc, char **argv) {
    int smoke = argc == 2 && !strcmp(argv[1], "--smoke"), ran[LENGTH(experiments)] = {0}, order[LENGTH(experiments)];
    int rounds = argc == 1 ? 41 : smoke ? 1 : argc == 3 && !strcmp(argv[1], "--rounds") ? atoi(argv[2]) : 0;
    if (rounds < 1 || rounds > 1000) return fprintf(stderr, "usage: floors [--rounds 1..1000 | --smoke]\n"), 2;
    prepare();
    for (int round = 0; round <= rounds; round++) {
        warm = round > 0;
        for (size_t i = 0, with; i < LENGTH(order); i++) { // Into the order, at a place that is drawn once it is warm.
            with = warm ? (size_t)random() % (i + 1) : i;
            order[i] = order[with], order[with] = i;
        }
        for (size_t i = 0; i < LENGTH(order); i++) experiments[experiment = order[i]].run();
    }
    for (struct row *row = rows; row < rows + row_count; row++) {
        ran[row->experiment] = 1;
        must(row->n + row->lacking == rounds, row->name);
        if (smoke && row->lacking) printf("floors: %s: - (%s)\n", row->name, row->why);
    }
    for (size_t i = 0; i < LENGTH(ran); i++) must(ran[i], experiments[i].title);
    if (!smoke) print(rounds);
    return contradictions > 0;
}
