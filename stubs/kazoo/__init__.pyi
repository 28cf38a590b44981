"""kazoo, the client of ZooKeeper: as much of it as is used here."""
