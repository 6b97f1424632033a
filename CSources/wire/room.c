/* placeholder to be replaced */
extern int mesh_wire_room;
int mesh_wire_room;
