"""What a network predicts of an object, brought to the pattern's grid."""
