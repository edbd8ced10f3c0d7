"""What every chart shares: how it looks, how it is drawn, and the curves of the model."""
