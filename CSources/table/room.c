#include "table/view.h"
#include "table/balance.h"
#include "table/intent.h"
#include "table/route.h"
extern int mesh_table_room;
int mesh_table_room;
