/* placeholder to be replaced */
extern int mesh_tls_room;
int mesh_tls_room;
