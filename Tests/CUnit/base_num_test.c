#include "base/num.h"

#include "cunit.h"

TEST(sums_that_fit_and_sums_that_do_not)
{
    uint64_t out = 7;

    CHECK(num_add_u64(UINT64_MAX - 1, 1, &out));
    CHECK_UINT(out, UINT64_MAX);
    CHECK(!num_add_u64(UINT64_MAX, 1, &out));
    CHECK(!num_add_u64(UINT64_MAX, UINT64_MAX, &out));
    CHECK_UINT(out, UINT64_MAX);
}

TEST(products_that_fit_and_products_that_do_not)
{
    uint64_t out = 7;

    CHECK(num_mul_u64(UINT64_C(1) << 32, (UINT64_C(1) << 32) - 1, &out));
    CHECK_UINT(out, 0xffffffff00000000);
    CHECK(!num_mul_u64(UINT64_C(1) << 32, UINT64_C(1) << 32, &out));
    CHECK_UINT(out, 0xffffffff00000000);
    CHECK(num_mul_u64(0, UINT64_MAX, &out));
    CHECK_UINT(out, 0);
}

TEST(smaller_and_larger)
{
    CHECK_UINT(num_min_u32(0, UINT32_MAX), 0);
    CHECK_UINT(num_max_u32(0, UINT32_MAX), UINT32_MAX);
    CHECK_UINT(num_min_size(SIZE_MAX, 3), 3);
    CHECK_UINT(num_min_u64(UINT64_MAX, 4), 4);
}

TEST(aligning_up)
{
    CHECK_UINT(num_align_up(0, 8), 0);
    CHECK_UINT(num_align_up(1, 8), 8);
    CHECK_UINT(num_align_up(8, 8), 8);
    CHECK_UINT(num_align_up(9, 4096), 4096);
    CHECK_UINT(num_align_up(5, 1), 5);
}
