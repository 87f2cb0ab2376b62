// SPDX-License-Identifier: Apache-2.0
package org.ovirt.engine.core.utils;

import java.io.File;

/** Stub: /etc/ovirt-engine is the folder packaging/etc on the class path. */
public class EngineLocalConfig {
    public static EngineLocalConfig getInstance() {
        return new EngineLocalConfig();
    }

    public File getEtcDir() {
        try {
            return new File(EngineLocalConfig.class.getResource("/packaging/etc").toURI());
        } catch (Exception e) {
            throw new IllegalStateException("packaging/etc is not on the class path, in a folder", e);
        }
    }
}
