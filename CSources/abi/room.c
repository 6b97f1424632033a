/* placeholder to be replaced */
extern int mesh_abi_room;
int mesh_abi_room;
