WHO = "the layer"
