/* Snapshots with one rule broken. */
#ifndef TABLE_FAULTS_H
#define TABLE_FAULTS_H

#include <stddef.h>

#include "table_kit.h"

/* One broken rule of one record of table_kit_everything(). */
struct table_fault {
    const char *what;
    enum abi_section section;
    uint32_t record;
    size_t at; /* bytes into the record */
    size_t size;
    uint64_t value;
    enum abi_refusal code;
};

#define FIELD(type, field) offsetof(struct type, field), sizeof(((struct type *)0)->field)

/* Checks that a snapshot with this fault is refused for its reason. */
void table_faults_check(const struct table_fault *fault);

#endif
