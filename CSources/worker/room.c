/* placeholder to be replaced */
extern int mesh_worker_room;
int mesh_worker_room;
