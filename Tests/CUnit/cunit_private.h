/* Between the files of the harness. */
#ifndef CUNIT_PRIVATE_H
#define CUNIT_PRIVATE_H

/* Unmaps everything that cunit_guarded and its relatives gave out. */
void cunit_guard_release(void);

#endif
