/* placeholder to be replaced */
extern int mesh_base_room;
int mesh_base_room;
