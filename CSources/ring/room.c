/* placeholder to be replaced */
extern int mesh_ring_room;
int mesh_ring_room;
