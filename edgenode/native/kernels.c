#include "kernels.h"

#include <stddef.h>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

static bool always(void)
{
    return true;
}

static bool never(void)
{
    return false;
}

#if defined(__x86_64__)

#define X86(name, lanes, runs_here, search) {name, lanes, runs_here, search}
#define ARM(name, lanes, runs_here, search) {name, lanes, never, NULL}

/* Bits of CPUID: leaf 1, ECX, and leaf 7, EBX (Intel's manual, volume 2A, CPUID). */
enum {
    SSSE3 = 1 << 9,
    SSE4_1 = 1 << 19,
    OSXSAVE = 1 << 27,
    AVX2 = 1 << 5,
    AVX512F = 1 << 16,
    SHA = 1 << 29,
    AVX512BW = 1 << 30,
};

/* Bits of XCR0: which registers the system keeps for a thread. Without them a processor's vector
 * instructions are illegal, or lose what they computed. */
enum {
    SSE_AND_AVX_STATE = 0x06,
    AVX512_STATE = 0xe0,
};

typedef struct {
    unsigned leaf1_ecx, leaf7_ebx, xcr0;
} processor;

static processor ask_processor(void)
{
    processor found = {0};
    unsigned eax, ebx, ecx, edx;
    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx))
        found.leaf1_ecx = ecx;
    if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx))
        found.leaf7_ebx = ebx;
    if ((found.leaf1_ecx & OSXSAVE) != 0) /* else XGETBV itself is illegal */
        __asm__ volatile("xgetbv" : "=a"(found.xcr0), "=d"(edx) : "c"(0));
    return found;
}

static bool has(unsigned word, unsigned bits)
{
    return (word & bits) == bits;
}

static bool has_sha_ni(void)
{
    processor here = ask_processor();
    return has(here.leaf1_ecx, SSSE3 | SSE4_1) && has(here.leaf7_ebx, SHA);
}

static bool has_avx2(void)
{
    processor here = ask_processor();
    return has(here.leaf7_ebx, AVX2) && has(here.xcr0, SSE_AND_AVX_STATE);
}

static bool has_avx512(void)
{
    processor here = ask_processor();
    return has(here.leaf7_ebx, AVX512F | AVX512BW)
           && has(here.xcr0, SSE_AND_AVX_STATE | AVX512_STATE);
}

#elif defined(__aarch64__)

#define X86(name, lanes, runs_here, search) {name, lanes, never, NULL}
#define ARM(name, lanes, runs_here, search) {name, lanes, runs_here, search}

static bool has_neon(void)
{
    return true; /* part of the architecture, as its calling convention uses it */
}

static bool has_armv8(void)
{
#if defined(__linux__)
    return (getauxval(AT_HWCAP) & HWCAP_SHA2) != 0;
#else
    return never();
#endif
}

#else

#define X86(name, lanes, runs_here, search) {name, lanes, never, NULL}
#define ARM(name, lanes, runs_here, search) {name, lanes, never, NULL}

#endif

const edgenode_kernel edgenode_kernels[EDGENODE_KERNELS] = {
    {"portable", 1, always, edgenode_search_portable},
    X86("sha-ni", 4, has_sha_ni, edgenode_search_sha_ni),
    X86("avx2", 8, has_avx2, edgenode_search_avx2),
    X86("avx512", 32, has_avx512, edgenode_search_avx512),
    ARM("neon", 4, has_neon, edgenode_search_neon),
    ARM("armv8", 4, has_armv8, edgenode_search_armv8),
};

bool edgenode_has_sha_instructions(void)
{
#if defined(__x86_64__)
    return has_sha_ni();
#elif defined(__aarch64__)
    return has_armv8();
#else
    return false;
#endif
}

bool edgenode_search(const edgenode_kernel *kernel, const uint8_t header[EDGENODE_HEADER_BYTES],
                     const uint8_t target[EDGENODE_HASH_BYTES], uint32_t first, uint64_t count,
                     uint32_t *found)
{
    const uint64_t left = (uint64_t)UINT32_MAX + 1 - first;
    edgenode_job job;
    edgenode_job_prepare(&job, header, target);
    return kernel->search(&job, first, count < left ? count : left, found);
}
