/* The layout as the C compiler sees it, for the writer to fill into headers and for the tests of
 * both languages to compare. */
#ifndef ABI_LAYOUT_H
#define ABI_LAYOUT_H

#include <stdint.h>

/* Bytes of one record of an enum abi_section; 0 for other numbers. */
uint32_t abi_record_size(uint32_t section);

#endif
