#include "base/err.h"

#include "cunit.h"

TEST(every_error_has_its_name)
{
    CHECK_STRING(err_name(MESH_OK), "ok");
    CHECK_STRING(err_name(MESH_E_SYNTAX), "syntax");
    CHECK_STRING(err_name(MESH_E_FRAMING), "framing");
    CHECK_STRING(err_name(MESH_E_NO_MEMORY), "no_memory");
    CHECK_STRING(err_name(MESH_E_CHECKSUM), "checksum");
}

TEST(other_values_are_unknown)
{
    CHECK_STRING(err_name(1), "unknown");
    CHECK_STRING(err_name(MESH_E_CHECKSUM - 1), "unknown");
    CHECK_STRING(err_name(-100000), "unknown");
}
