/* One nonce at a time in portable C; every processor runs it. */
#include "kernels.h"

#define TARGET
#define LANES 1
#define STREAMS 1
#define VECTOR uint32_t
#define PIN(x) ((void)0)
#define SETTLE() ((void)0)
#define ADD(x, y) ((x) + (y))
#define SUM0 edgenode_sum0
#define SUM1 edgenode_sum1
#define SIGMA0 edgenode_sigma0
#define SIGMA1 edgenode_sigma1
#define CHOOSE edgenode_choose
#define MAJORITY edgenode_majority
#define SPREAD(array, i) ((array)[i])
#define NONCES(first) edgenode_swap_bytes(first)
#define AT_MOST(x, limit) (edgenode_swap_bytes(x) <= (limit))

#include "kernel_lanes.h"

bool edgenode_search_portable(const edgenode_job *job, uint32_t first, uint64_t count,
                              uint32_t *found)
{
    return search_lanes(job, first, count, found);
}
