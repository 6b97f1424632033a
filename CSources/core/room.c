/* placeholder to be replaced */
extern int mesh_core_room;
int mesh_core_room;
