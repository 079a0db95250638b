NAME = "from another layer"
