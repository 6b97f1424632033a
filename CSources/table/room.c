/* placeholder to be replaced */
extern int mesh_table_room;
int mesh_table_room;
