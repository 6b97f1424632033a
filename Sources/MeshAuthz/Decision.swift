import MeshModel
