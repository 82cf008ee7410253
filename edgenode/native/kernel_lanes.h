/* The nonce search of a kernel that hashes LANES nonces side by side, one in each lane of a vector.
 *
 * A kernel defines what follows, then includes this file, which defines `search_lanes`:
 *
 *   TARGET               the attribute that lets the compiler use the kernel's instructions
 *   LANES                nonces of one VECTOR
 *   STREAMS              1 or 2 vectors that take turns; LANES * STREAMS is at most 32
 *   VECTOR               a type that holds a 32-bit word for each lane
 *   PIN(x)               keeps the compiler from adding the parts of x in another order
 *   SETTLE()             after each new word of the message: may keep it in memory
 *   SPREAD(array, i)     word i of the array in every lane; i is a constant
 *   ADD(x, y)            the sums modulo 2^32
 *   SUM0, SUM1, SIGMA0, SIGMA1, CHOOSE, MAJORITY     the functions of FIPS 180-4, section 4.1.2
 *   NONCES(first)        lane i has the bytes of nonce first + i in the order of a header
 *   AT_MOST(x, limit)    bit i: the word of lane i, its bytes swapped, is at most `limit`
 *
 * A round of one vector waits longer for its own results than for execution units. Two streams fill
 * that time; and it is short when what is known last is added last, which is what PIN is for.
 *
 * Everything is in line but `expanded_rounds`: the instructions of a turn must fit a first-level
 * cache of 32 KiB and, where there is one, the cache of decoded instructions. Unrolled in full, two
 * AVX-512 streams took 1.6 times as long.
 */
#include "sha256.h"
#include "sha256d.h"

#define K EDGENODE_SHA256_K
#define H EDGENODE_SHA256_INITIAL
#define INLINE TARGET __attribute__((always_inline)) static inline

/* The statements for each stream s. */
#if STREAMS == 2
#define EACH(...) \
    do { \
        { enum { s = 0 }; __VA_ARGS__ } \
        { enum { s = 1 }; __VA_ARGS__ } \
    } while (0)
#else
#define EACH(...) do { enum { s = 0 }; __VA_ARGS__ } while (0)
#endif

/* One round; `with` is the sum of its constant and word, h[s] or not. */
#define ROUND_OF(a, b, c, d, e, f, g, h, with) \
    EACH(VECTOR t1 = with; \
         PIN(t1); \
         t1 = ADD(t1, CHOOSE(e[s], f[s], g[s])); \
         PIN(t1); \
         t1 = ADD(t1, SUM1(e[s])); \
         PIN(t1); \
         d[s] = ADD(d[s], t1); \
         VECTOR t2 = ADD(SUM0(a[s]), MAJORITY(a[s], b[s], c[s])); \
         PIN(t2); \
         h[s] = ADD(t1, t2);)
#define ROUND(a, b, c, d, e, f, g, h, with) ROUND_OF(a, b, c, d, e, f, g, h, ADD(h[s], with))
/* A round of which only the new e is needed. */
#define HALF_ROUND(d, e, f, g, h, with) \
    EACH(VECTOR t1 = ADD(h[s], with); \
         PIN(t1); \
         t1 = ADD(t1, CHOOSE(e[s], f[s], g[s])); \
         PIN(t1); \
         d[s] = ADD(d[s], ADD(t1, SUM1(e[s])));)

/* Four rounds from t on. Names change places instead of words, so that after eight all are home:
 * the even four begin at a t that is a multiple of 8, the odd ones at one that is 4 more. */
#define FOUR(a, b, c, d, e, f, g, h, WITH, t) \
    ROUND(a, b, c, d, e, f, g, h, WITH(t)); \
    ROUND(h, a, b, c, d, e, f, g, WITH((t) + 1)); \
    ROUND(g, h, a, b, c, d, e, f, WITH((t) + 2)); \
    ROUND(f, g, h, a, b, c, d, e, WITH((t) + 3))
#define EVEN_FOUR(WITH, t) FOUR(a, b, c, d, e, f, g, h, WITH, t)
#define ODD_FOUR(WITH, t) FOUR(e, f, g, h, a, b, c, d, WITH, t)

/* The 16 words of the message that are in use: word t takes the place of word t - 16. */
#define W(t) w[(t) & 15][s]

/* What a round adds: a constant alone, with a word, with the word that is computed now. */
#define NO_WORD(t) SPREAD(k, t)
#define OLD_WORD(t) ADD(W(t), SPREAD(k, t))
#define NEW_WORD(t) ADD(expand(w, t, s), SPREAD(k, t))

/* Step 1 of section 6.2.2. */
INLINE VECTOR expand(VECTOR w[16][STREAMS], int t, int s)
{
    VECTOR x = ADD(ADD(W(t), W(t + 9)), SIGMA0(W(t + 1)));
    PIN(x);
    x = ADD(x, SIGMA1(W(t + 14)));
    PIN(x);
    W(t) = x;
    SETTLE();
    return x;
}

typedef struct {
    VECTOR a[STREAMS], b[STREAMS], c[STREAMS], d[STREAMS];
    VECTOR e[STREAMS], f[STREAMS], g[STREAMS], h[STREAMS];
} lanes_state;

#define LOAD(state) \
    EACH(a[s] = (state).a[s]; b[s] = (state).b[s]; c[s] = (state).c[s]; d[s] = (state).d[s]; \
         e[s] = (state).e[s]; f[s] = (state).f[s]; g[s] = (state).g[s]; h[s] = (state).h[s];)
#define STORE(state) \
    EACH((state).a[s] = a[s]; (state).b[s] = b[s]; (state).c[s] = c[s]; (state).d[s] = d[s]; \
         (state).e[s] = e[s]; (state).f[s] = f[s]; (state).g[s] = g[s]; (state).h[s] = h[s];)
#define STATE_NAMES \
    VECTOR a[STREAMS], b[STREAMS], c[STREAMS], d[STREAMS]; \
    VECTOR e[STREAMS], f[STREAMS], g[STREAMS], h[STREAMS]

/* 32 rounds whose words are computed on the way; k are their constants. */
TARGET __attribute__((noinline)) static void expanded_rounds(lanes_state *state,
                                                             VECTOR w[16][STREAMS],
                                                             const uint32_t *k)
{
    STATE_NAMES;
    LOAD(*state);
    const uint32_t *end = k + 32;
    do {
        EVEN_FOUR(NEW_WORD, 0);
        ODD_FOUR(NEW_WORD, 4);
        EVEN_FOUR(NEW_WORD, 8);
        ODD_FOUR(NEW_WORD, 12);
        k += 16;
    } while (k != end);
    STORE(*state);
}

/* The state after round 31 of the header's second block, and its words 16 to 31. The first three
 * rounds, and what can be had of the fourth, are the job's. */
INLINE void begin_first(const edgenode_job *job, uint32_t nonce, lanes_state *state,
                        VECTOR w[16][STREAMS])
{
    const uint32_t *k = job->first_keys;
    const uint32_t *words = job->first_words;
    STATE_NAMES;
    VECTOR swapped[STREAMS];
    EACH(swapped[s] = NONCES(nonce + s * LANES);
         e[s] = ADD(SPREAD(job->after_nonce, 0), swapped[s]);
         f[s] = SPREAD(job->after_nonce, 1);
         g[s] = SPREAD(job->after_nonce, 2);
         h[s] = SPREAD(job->after_nonce, 3);
         a[s] = ADD(SPREAD(job->after_nonce, 4), swapped[s]);
         b[s] = SPREAD(job->after_nonce, 5);
         c[s] = SPREAD(job->after_nonce, 6););
    ROUND_OF(e, f, g, h, a, b, c, d, NO_WORD(4));
    ROUND_OF(d, e, f, g, h, a, b, c, NO_WORD(5));
    ROUND_OF(c, d, e, f, g, h, a, b, NO_WORD(6));
    ROUND(b, c, d, e, f, g, h, a, NO_WORD(7));
    EVEN_FOUR(NO_WORD, 8);
    ODD_FOUR(NO_WORD, 12);
    EACH(W(16) = SPREAD(words, 0);
         W(17) = SPREAD(words, 1);
         W(18) = ADD(SIGMA0(swapped[s]), SPREAD(words, 2));
         W(19) = ADD(swapped[s], SPREAD(words, 3)););
    ROUND(a, b, c, d, e, f, g, h, NO_WORD(16));
    ROUND(h, a, b, c, d, e, f, g, NO_WORD(17));
    ROUND(g, h, a, b, c, d, e, f, OLD_WORD(18));
    ROUND(f, g, h, a, b, c, d, e, OLD_WORD(19));
    EACH(W(20) = ADD(SIGMA1(W(18)), SPREAD(words, 4));
         W(21) = SIGMA1(W(19));
         W(22) = ADD(SIGMA1(W(20)), SPREAD(words, 6));
         W(23) = ADD(SIGMA1(W(21)), W(16)););
    SETTLE();
    ODD_FOUR(OLD_WORD, 20);
    EACH(W(24) = ADD(SIGMA1(W(22)), W(17));
         W(25) = ADD(SIGMA1(W(23)), W(18));
         W(26) = ADD(SIGMA1(W(24)), W(19));
         W(27) = ADD(SIGMA1(W(25)), W(20)););
    SETTLE();
    EVEN_FOUR(OLD_WORD, 24);
    EACH(W(28) = ADD(SIGMA1(W(26)), W(21));
         W(29) = ADD(SIGMA1(W(27)), W(22));
         W(30) = ADD(ADD(SIGMA1(W(28)), W(23)), SPREAD(words, 14));
         W(31) = ADD(ADD(SIGMA1(W(29)), W(24)), SPREAD(words, 15)););
    SETTLE();
    ODD_FOUR(OLD_WORD, 28);
    STORE(*state);
}

/* From the state after the first hash's last round: that after round 15 of the second hash, and the
 * words of its only block. */
INLINE void begin_second(const edgenode_job *job, lanes_state *state, VECTOR w[16][STREAMS])
{
    const uint32_t *k = job->second_keys;
    STATE_NAMES;
    EACH(W(0) = ADD(state->a[s], SPREAD(job->midstate, 0));
         W(1) = ADD(state->b[s], SPREAD(job->midstate, 1));
         W(2) = ADD(state->c[s], SPREAD(job->midstate, 2));
         W(3) = ADD(state->d[s], SPREAD(job->midstate, 3));
         W(4) = ADD(state->e[s], SPREAD(job->midstate, 4));
         W(5) = ADD(state->f[s], SPREAD(job->midstate, 5));
         W(6) = ADD(state->g[s], SPREAD(job->midstate, 6));
         W(7) = ADD(state->h[s], SPREAD(job->midstate, 7));
         W(8) = SPREAD(job->second_padding, 0);
         W(9) = W(10) = W(11) = W(12) = W(13) = W(14) = SPREAD(job->second_padding, 1);
         W(15) = SPREAD(job->second_padding, 7);
         h[s] = ADD(SPREAD(job->after_word, 0), W(0));
         a[s] = SPREAD(job->after_word, 1);
         b[s] = SPREAD(job->after_word, 2);
         c[s] = SPREAD(job->after_word, 3);
         d[s] = ADD(SPREAD(job->after_word, 4), W(0));
         e[s] = SPREAD(job->after_word, 5);
         f[s] = SPREAD(job->after_word, 6););
    SETTLE();
    ROUND_OF(h, a, b, c, d, e, f, g, OLD_WORD(1));
    ROUND_OF(g, h, a, b, c, d, e, f, OLD_WORD(2));
    ROUND_OF(f, g, h, a, b, c, d, e, OLD_WORD(3));
    ODD_FOUR(OLD_WORD, 4);
    EVEN_FOUR(NO_WORD, 8);
    ODD_FOUR(NO_WORD, 12);
    STORE(*state);
}

/* From the state after round 47 of the second hash: bit i says that word 7 of nonce i's hash is low
 * enough. That word is the last h, which was e after round 60: no later round is needed, no later
 * word, and of the last four rounds no new a. */
INLINE uint32_t end_second(const edgenode_job *job, const lanes_state *state,
                           VECTOR w[16][STREAMS])
{
    const uint32_t *k = K + 48;
    STATE_NAMES;
    LOAD(*state);
    EVEN_FOUR(NEW_WORD, 0);
    ODD_FOUR(NEW_WORD, 4);
    ROUND(a, b, c, d, e, f, g, h, NEW_WORD(8));
    HALF_ROUND(c, d, e, f, g, NEW_WORD(9));
    HALF_ROUND(b, c, d, e, f, NEW_WORD(10));
    HALF_ROUND(a, b, c, d, e, NEW_WORD(11));
    HALF_ROUND(h, a, b, c, d, NEW_WORD(12));
    uint32_t met = 0;
    EACH(met |= (uint32_t)AT_MOST(ADD(h[s], SPREAD(H, 7)), job->limit[7]) << s * LANES;);
    return met;
}

/* Hashes LANES * STREAMS nonces from `nonce` on; bit i: nonce + i may meet the target. */
TARGET static uint32_t candidates(const edgenode_job *job, uint32_t nonce)
{
    VECTOR w[16][STREAMS];
    lanes_state state;
    begin_first(job, nonce, &state, w);
    expanded_rounds(&state, w, K + 32);
    begin_second(job, &state, w);
    expanded_rounds(&state, w, K + 16);
    return end_second(job, &state, w);
}

TARGET static bool search_lanes(const edgenode_job *job, uint32_t first, uint64_t count,
                                uint32_t *found)
{
    for (uint64_t done = 0; done < count; done += LANES * STREAMS) {
        uint32_t nonce = first + (uint32_t)done;
        uint32_t lanes = candidates(job, nonce);
        for (uint64_t lane = 0; lanes != 0 && done + lane < count; lane++, lanes >>= 1) {
            if ((lanes & 1) != 0 && edgenode_job_meets(job, nonce + (uint32_t)lane)) {
                *found = nonce + (uint32_t)lane;
                return true;
            }
        }
    }
    return false;
}
