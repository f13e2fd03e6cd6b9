"""The gru model: a GRU network that predicts the health score one step ahead."""
